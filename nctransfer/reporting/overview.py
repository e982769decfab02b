"""REPORT.md: all figures and tables in short, with links."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from nctransfer.reporting.scorecard.verdicts import VERDICTS
from nctransfer.reporting.settings import Listed, OverviewJobSettings
from nctransfer.stamp import Stamp

FIGURE_FILES = {"picture": "png", "vector": "pdf", "numbers": "csv", "made by": "json"}
TABLE_FILES = {"text": "md", "page": "html", "LaTeX": "tex", "numbers": "csv", "made by": "json"}


def overview(
    settings: OverviewJobSettings, scorecard: Path, adopted: int, mixtures: Sequence[str], stamp: Stamp
) -> str:
    """Text of REPORT.md, which lies beside the scorecard's CSV.

    ``adopted`` is the number of adoptions (results kept after a code change), ``mixtures`` say in what
    software and devices differ that made the results.
    """
    results = settings.results
    about = "Code, configuration, machines and times: [provenance.html](provenance.html), job by job in "
    about += "[provenance.json](provenance.json)."
    if adopted:
        often = "Once" if adopted == 1 else f"{adopted} times"
        kept = "results were kept after a change of code: provenance.html says why, and by which commit."
        about += f" {often}, {kept}"
    if mixtures:
        about += f" **Results were made with different software or devices:** {'; '.join(mixtures)}."
    if any(record.identity != "contents" for record in stamp.made_with):
        about += " The user's files were told apart by name and size only (`reruns.identity: size`)."
    parts = [
        "# Transfer learning via neural collapse: what this run shows",
        _about(settings),
        _verdicts(scorecard),
        *_listing("Figures", settings.figures, FIGURE_FILES, results),
        *_listing("Tables", settings.tables, TABLE_FILES, results),
        f"## About this run\n\n{about}",
        f"<!-- digest {stamp.digest} -->",
    ]
    return "\n\n".join(parts) + "\n"


def _about(settings: OverviewJobSettings) -> str:
    page, study = f"{settings.results}/report.html", settings.study
    of_study = f"Study `{study}`, an overlay of the paper's configuration."
    whose = of_study if study else "The paper's own folders."
    return (
        f"{whose} {settings.setting} The page with all pictures is `{page}` after the command of this run "
        f"with `--report {page}` in place of targets."
    )


def _verdicts(scorecard: Path) -> str:
    claims = pd.read_csv(scorecard).drop_duplicates("claim")  # all rows of a claim have its verdict
    counts = claims["claim_verdict"].value_counts(sort=False)
    rows = "\n".join(f"| {verdict} | {counts[verdict]} |" for verdict in VERDICTS if verdict in counts)
    table = f"| Verdict | Claims |\n|:---|---:|\n{rows}"
    links = ", ".join(f"[{name}]({name})" for name in (f"{scorecard.stem}.html", scorecard.name))
    return f"## Scorecard\n\n{table}\n\nClaim by claim: {links}."


def _listing(heading: str, entries: Sequence[Listed], files: Mapping[str, str], results: str) -> list[str]:
    if not entries:
        return []
    lines = []
    for entry in entries:
        path = os.path.relpath(entry.path, results)
        links = ", ".join(f"[{word}]({path}.{suffix})" for word, suffix in files.items())
        lines.append(f"- **{entry.name}.** {entry.shows}: {links}")
    return [f"## {heading}\n\n" + "\n".join(lines)]
