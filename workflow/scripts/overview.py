"""List all figures and tables, with links."""

from pathlib import Path

from nctransfer.runtime.job import job
from nctransfer.reporting.overview import overview
from nctransfer.reporting.provenance import mixtures
from nctransfer.reporting.settings import OverviewJobSettings
from nctransfer.storage.files import save_text
from nctransfer.storage.ledger import read_ledger

with job(snakemake) as task:
    settings = OverviewJobSettings.read(task.settings)
    text = overview(
        settings,
        Path(snakemake.input.scorecard),
        len(read_ledger(Path(settings.results))),
        mixtures(task.planned.made_with),
        task.stamp,
    )
    save_text(text, Path(snakemake.output.md))
