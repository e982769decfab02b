"""Draw a figure from tidy tables."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer import variants
from nctransfer.reporting import figures
from nctransfer.reporting.output import save_figure, save_numbers, save_sidecar
from nctransfer.reporting.sources import with_sources
from nctransfer.storage.tables import read_tables

with job(snakemake) as task:
    kind = variants.load(figures, task.settings["kind"], "figure", ["SETTINGS", "tabulate", "draw"])
    settings = kind.SETTINGS.read(task.settings)
    tidy = read_tables(settings.tables, snakemake.input)
    numbers = with_sources(kind.tabulate(settings, tidy), settings.sources, tidy)
    figure = kind.draw(numbers, settings.model_copy(update={"windows": ()}))
    framed = kind.draw(numbers, settings) if settings.windows else None
    csv, pdf, png, sidecar = (Path(snakemake.output[suffix]) for suffix in ("csv", "pdf", "png", "json"))
    save_numbers(numbers, csv)
    save_figure(figure, pdf, png, settings.style.dpi, task.stamp.digest, framed)
    name, files = snakemake.wildcards.figure, map(Path, snakemake.output)
    save_sidecar(sidecar, name, settings.kind, task.stamp, snakemake.input, files, settings.seed)
