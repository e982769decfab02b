"""Draw a figure from tidy tables."""

from pathlib import Path

from nctransfer.job import job
from nctransfer.plan import variants
from nctransfer.reporting.output import save_figure, save_numbers
from nctransfer.storage.files import read_table

with job(snakemake) as task:
    settings = task.settings
    figure = variants.load("nctransfer.reporting.figures", settings["kind"])
    panels = range(len(settings["panels"]))
    metrics = [read_table(Path(snakemake.input[f"metrics_{index}"])) for index in panels]
    probes = [read_table(Path(snakemake.input[f"probes_{index}"])) for index in panels]
    table = figure.tabulate(settings, metrics, probes)
    picture = figure.draw(table, settings)
    save_numbers(table, Path(snakemake.output.csv))
    save_figure(
        picture, Path(snakemake.output.pdf), Path(snakemake.output.png), settings["style"]["dpi"], task.recipe
    )
