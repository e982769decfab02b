"""List everything that is shown, with links."""

from pathlib import Path

from nctransfer.job import job
from nctransfer.reporting.overview import overview
from nctransfer.storage.files import save_text

with job(snakemake) as task:
    text = overview(task.settings, Path(snakemake.input.scorecard), task.recipe)
    save_text(text, Path(snakemake.output.md))
