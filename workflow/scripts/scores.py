"""Compute transferability scores of a model's features."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.features.feature_store import FeatureStore
from nctransfer.storage.tables import write_table
from nctransfer.tidy.scores import score_table
from nctransfer.transferability.settings import ScoresJobSettings

with job(snakemake) as task:
    store = FeatureStore(Path(snakemake.input.train))
    table = score_table(store, ScoresJobSettings.read(task.settings), task.device())
    write_table(Path(snakemake.output.table), table, task.stamp)
