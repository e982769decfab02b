"""Write a table from tidy tables."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer import variants
from nctransfer.reporting import tables
from nctransfer.reporting.beside import present_beside, with_published
from nctransfer.reporting.output import save_page, save_sidecar, save_table
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.reporting.sources import with_sources
from nctransfer.reporting.titles import name_of
from nctransfer.storage.tables import read_tables

with job(snakemake) as task:
    kind = variants.load(tables, task.settings["kind"], "table", ["SETTINGS", "tabulate", "present"])
    settings = kind.SETTINGS.read(task.settings)
    tidy = read_tables(settings.tables, snakemake.input)
    numbers = with_sources(kind.tabulate(settings, tidy), settings.sources, tidy)
    published = snakemake.input.get("published")
    if published is None:
        readable = kind.present(numbers, settings)
    else:
        numbers = with_published(numbers, read_numbers(Path(published)))
        readable = present_beside(numbers, lambda part: kind.present(part, settings))
    name, digest = snakemake.wildcards.table, task.stamp.digest
    csv, md, tex, html, sidecar = (
        Path(snakemake.output[suffix]) for suffix in ("csv", "md", "tex", "html", "json")
    )
    save_table(numbers, readable, csv, md, tex, digest)
    save_page(readable, html, name_of(name), digest, settings.smaller)
    save_sidecar(sidecar, name, settings.kind, task.stamp, snakemake.input, map(Path, snakemake.output))
