"""Draw a figure from tidy tables."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.plan import variants
from nctransfer.reporting.output import save_figure, save_numbers, save_sidecar
from nctransfer.storage.tables import read_tables

with job(snakemake) as task:
    settings = task.settings
    figure = variants.load("nctransfer.reporting.figures", settings["kind"])
    tables = read_tables(settings["tables"], snakemake.input)
    numbers = figure.tabulate(settings, tables)
    picture = figure.draw(numbers, settings)
    save_numbers(numbers, Path(snakemake.output.csv))
    save_figure(
        picture,
        Path(snakemake.output.pdf),
        Path(snakemake.output.png),
        settings["style"]["dpi"],
        task.stamp.digest,
    )
    name = snakemake.wildcards.figure
    save_sidecar(
        Path(snakemake.output.json), name, settings, task.stamp, snakemake.input, map(Path, snakemake.output)
    )
