"""Score a model's features: how well will they transfer?"""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.features.store import FeatureStore
from nctransfer.storage.tables import write_table
from nctransfer.tidy.scores import score_table

with job(snakemake) as task:
    table = score_table(FeatureStore(Path(snakemake.input.train)), task.settings, task.device())
    write_table(Path(snakemake.output.table), table, task.stamp)
