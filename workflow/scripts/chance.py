"""Test the paper's claims on the numbers of figures and tables dealt out at random."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.reporting.output import save_numbers, save_sidecar
from nctransfer.reporting.scorecard.chance import by_chance
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.reporting.scorecard.settings import ChanceJobSettings

with job(snakemake) as task:
    settings = ChanceJobSettings.read(task.settings)
    tables = {key: read_numbers(Path(snakemake.input[key])) for key in settings.pictures}
    save_numbers(by_chance(settings.claims, tables, settings.permutations), Path(snakemake.output.csv))
    files = map(Path, snakemake.output)
    save_sidecar(
        Path(snakemake.output.json), "scorecard-chance", "chance", task.stamp, snakemake.input, files
    )
