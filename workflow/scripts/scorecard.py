"""Test the paper's claims on the numbers of figures and tables."""

from pathlib import Path

import pandas as pd

from nctransfer.runtime.job import job
from nctransfer.reporting.output import save_numbers, save_sidecar
from nctransfer.reporting.scorecard import page, verdicts, windows
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.reporting.scorecard.settings import ScorecardJobSettings
from nctransfer.storage.files import save_text

with job(snakemake) as task:
    settings = ScorecardJobSettings.read(task.settings)
    tables = {key: read_numbers(Path(snakemake.input[key])) for key in settings.pictures}
    published = {name: read_numbers(Path(snakemake.input[key])) for name, key in settings.published.items()}
    judged = verdicts.judge(settings.claims, tables, published, settings.set_ups)
    calibration, axes = snakemake.input.get("calibration"), snakemake.input.get("axes")
    about = page.Circumstances(
        settings.study,
        settings.paper,
        pd.read_csv(snakemake.input.chance),
        None if calibration is None else pd.read_csv(calibration, dtype={"row": str}),
        None if axes is None else windows.windows_table(tables, read_numbers(Path(axes))),
    )
    save_numbers(verdicts.scorecard_table(judged), Path(snakemake.output.csv))
    save_numbers(verdicts.parts_table(judged), Path(snakemake.output.parts))
    save_text(page.markdown(judged, about), Path(snakemake.output.md))
    save_text(page.html(judged, about), Path(snakemake.output.html))
    files = map(Path, snakemake.output)
    save_sidecar(Path(snakemake.output.json), "scorecard", "scorecard", task.stamp, snakemake.input, files)
