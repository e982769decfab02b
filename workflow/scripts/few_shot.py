"""Draw few-shot episodes from a view's images and evaluate a classifier in each."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.features.feature_store import FeatureStore
from nctransfer.few_shot.settings import FewShotJobSettings
from nctransfer.storage.tables import write_table
from nctransfer.tidy.few_shot import few_shot_table

with job(snakemake) as task:
    stores = {split: FeatureStore(Path(snakemake.input[split])) for split in ("train", "test")}
    table = few_shot_table(stores, FewShotJobSettings.read(task.settings))
    write_table(Path(snakemake.output.table), table, task.stamp)
