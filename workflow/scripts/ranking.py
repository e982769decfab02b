"""Rank models and units on a data set, and compare with measured accuracies."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.storage.tables import read_tables, write_table
from nctransfer.tidy.ranking import agreement_table, gather

with job(snakemake) as task:
    tables = read_tables(task.settings["tables"], snakemake.input)
    ranking = gather(tables, task.settings)
    write_table(Path(snakemake.output.ranking), ranking, task.stamp)
    write_table(Path(snakemake.output.agreement), agreement_table(ranking, task.settings), task.stamp)
