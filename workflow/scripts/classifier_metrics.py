"""Measure how the probes' classifiers align with the class means (NC3, NC4)."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.collapse.settings import ClassifierMetricsJobSettings
from nctransfer.features.feature_store import FeatureStore
from nctransfer.storage.tables import write_table
from nctransfer.tidy.classifiers import classifier_table

with job(snakemake) as task:
    stores = {split: FeatureStore(Path(snakemake.input[split])) for split in ("train", "test")}
    settings = ClassifierMetricsJobSettings.read(task.settings)
    table = classifier_table(stores, Path(snakemake.input.probes), settings.names, task.device())
    write_table(Path(snakemake.output.table), table, task.stamp)
