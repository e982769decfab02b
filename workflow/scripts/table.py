"""Write a table from tidy tables."""

from pathlib import Path

from nctransfer.job import job
from nctransfer.plan import variants
from nctransfer.reporting.output import save_table
from nctransfer.storage.tables import read_tables

with job(snakemake) as task:
    settings = task.settings
    kind = variants.load("nctransfer.reporting.tables", settings["kind"])
    tables = read_tables(settings["tables"], snakemake.input)
    numbers = kind.tabulate(settings, tables)
    files = (Path(snakemake.output[suffix]) for suffix in ("csv", "md", "tex"))
    save_table(numbers, kind.present(numbers, settings), *files, task.recipe)
