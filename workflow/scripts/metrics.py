"""Measure the collapse of every unit's features."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.collapse.settings import MetricsJobSettings
from nctransfer.features.feature_store import FeatureStore
from nctransfer.storage.tables import write_table
from nctransfer.tidy.collapse import collapse_table

with job(snakemake) as task:
    stores = {split: FeatureStore(Path(snakemake.input[split])) for split in ("train", "test")}
    table = collapse_table(stores, MetricsJobSettings.read(task.settings), task.device())
    write_table(Path(snakemake.output.table), table, task.stamp)
