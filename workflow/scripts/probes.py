"""Train linear probes on the features of all units together."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.features.feature_store import FeatureStore
from nctransfer.probing.settings import ProbesJobSettings
from nctransfer.tidy.probes import write_probes

with job(snakemake) as task:
    stores = {split: FeatureStore(Path(snakemake.input[split])) for split in ("train", "test")}
    settings = ProbesJobSettings.read(task.settings)
    write_probes(stores, Path(snakemake.output.manifest), settings, task.device(), task.stamp)
