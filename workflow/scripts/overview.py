"""List everything that is shown, with links."""

from pathlib import Path

from nctransfer.job import job
from nctransfer.reporting.overview import overview
from nctransfer.storage.files import atomic_path

with job(snakemake) as task:
    scorecard = snakemake.input.get("scorecard")
    text = overview(task.settings, Path(scorecard) if scorecard else None, task.recipe)
    with atomic_path(Path(snakemake.output.md)) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
