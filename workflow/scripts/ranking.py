"""Rank models and units on a data set and compare the ranking with measured accuracies."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.storage.tables import read_tables, write_table
from nctransfer.tidy.ranking import agreement_table, gather
from nctransfer.transferability.settings import RankingJobSettings

with job(snakemake) as task:
    settings = RankingJobSettings.read(task.settings)
    ranking = gather(read_tables(settings.tables, snakemake.input), settings)
    write_table(Path(snakemake.output.ranking), ranking, task.stamp)
    write_table(Path(snakemake.output.agreement), agreement_table(ranking, settings), task.stamp)
