"""Write a table from tidy tables."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.plan import variants
from nctransfer.plan.titles import name_of
from nctransfer.reporting.output import save_page, save_sidecar, save_table
from nctransfer.storage.tables import read_tables

with job(snakemake) as task:
    settings = task.settings
    kind = variants.load("nctransfer.reporting.tables", settings["kind"])
    tables = read_tables(settings["tables"], snakemake.input)
    numbers = kind.tabulate(settings, tables)
    readable = kind.present(numbers, settings)
    name = snakemake.wildcards.table
    files = (Path(snakemake.output[suffix]) for suffix in ("csv", "md", "tex"))
    save_table(numbers, readable, *files, task.stamp.digest)
    save_page(readable, Path(snakemake.output.html), name_of(name), task.stamp.digest)
    save_sidecar(
        Path(snakemake.output.json), name, settings, task.stamp, snakemake.input, map(Path, snakemake.output)
    )
