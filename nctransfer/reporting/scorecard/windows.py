"""Whether our points lie where the paper's axes do: a panel of a figure each, beside the outer tick labels.

A tick label says less than a point: an axis may reach up to one tick beyond its outer labels, and not every
label has points near it. So this is no test of a claim. Where our points are all elsewhere, the set-up or the
paper's description of it is another one.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting import pages
from nctransfer.reporting.titles import name_of

AXES = ("abscissa", "ordinate")
NAMES = {
    "nc1": "NC1", "transfer_accuracy": "accuracy", "train_accuracy": "training accuracy",
    "per_class": "samples", "tuned": "tuned units",
}  # fmt: skip
READING = (
    "The ranges of our points beside those between the outer tick labels of the paper's figures. An axis may "
    "reach up to one tick further, so a point just outside contradicts nothing; points far outside mean "
    "another set-up than the paper's."
)
HEADINGS = ("figure", "panel", "points", "inside", "abscissa", "ordinate")


def windows_table(tables: Mapping[str, pd.DataFrame], axes: pd.DataFrame) -> pd.DataFrame:
    """Our points, in the numbers of figures by key, in the paper's windows.

    ``axes`` are the windows, one row per panel, as in ``config/published/paper/axes.csv``: figure (key),
    panel and title, and for abscissa and ordinate the column of the figure's CSV with its low and high end,
    which are empty if the paper's are not known.

    Returns:
        one row per window whose panel our figures have: figure, panel, title, points (rows with a value on
        every axis that has a window), inside (those within all windows), source, and for each axis the
        paper's ``<axis>_low`` and ``<axis>_high``, ours (``<axis>_ours_low``, ``..._high``) and
        ``<axis>_inside``.
    """
    rows = []
    for window in axes.to_dict("records"):
        table = tables.get(window["figure"])
        if table is None:
            continue
        part = table[(table["panel"] == window["panel"]) & (table["title"] == window["title"])]
        known = [axis for axis in AXES if pd.notna(window[f"{axis}_low"])]
        columns = [window[axis] for axis in known]
        points = part[columns].apply(pd.to_numeric, errors="coerce").dropna()
        if points.empty:
            continue
        row = dict(window) | {"points": len(points)}
        every = pd.Series(True, points.index)
        for axis, column in zip(known, columns, strict=True):
            values = points[column]
            within = values.between(window[f"{axis}_low"], window[f"{axis}_high"])
            row |= {f"{axis}_ours_low": values.min(), f"{axis}_ours_high": values.max()}
            row |= {f"{axis}_inside": int(within.sum())}
            every &= within
        rows.append(row | {"inside": int(every.sum())})
    ours = [f"{axis}_{what}" for axis in AXES for what in ("ours_low", "ours_high", "inside")]
    return pd.DataFrame(rows, columns=[*axes.columns, "points", "inside", *ours])


def summary(windows: pd.DataFrame) -> str:
    """How many panels lie inside their window, partly or not at all, in a sentence."""
    inside = (windows["inside"] == windows["points"]).sum()
    outside = (windows["inside"] == 0).sum()
    partly = len(windows) - inside - outside
    return (
        f"Of {len(windows)} panels {inside} have all their points inside the paper's window, {partly} some, "
        f"{outside} none."
    )


def html(windows: pd.DataFrame) -> str:
    """The table of :func:`windows_table` as a section of a page."""
    table = pages.table(HEADINGS, map(_cells, windows.to_dict("records")))
    words = f"<p>{pages.escape(summary(windows))}</p>\n<p class=small>{pages.escape(READING)}</p>\n"
    return f"<h2>The paper's windows</h2>\n{words}{table}"


def markdown(windows: pd.DataFrame) -> str:
    """The table of :func:`windows_table` as a section of a page in Markdown."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(_cells, windows.to_dict("records"))]
    table = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    return f"## The paper's windows\n\n{summary(windows)}\n\n{READING}\n\n{table}\n"


def _cells(row: Mapping[Any, Any]) -> list[str]:
    first = [name_of(str(row["figure"])), f"({row['panel']}) {row['title']}"]
    return [*first, str(row["points"]), str(row["inside"]), *(_axis(row, axis) for axis in AXES)]


def _axis(row: Mapping[Any, Any], axis: str) -> str:
    """What lies where on an axis, in words; empty for an axis without a window."""
    if pd.isna(row[f"{axis}_low"]):
        return ""
    ours, paper = (
        f"{row[f'{axis}_{low}']:.4g} to {row[f'{axis}_{high}']:.4g}"
        for low, high in (("ours_low", "ours_high"), ("low", "high"))
    )
    name = NAMES.get(row[axis], row[axis])
    return f"{name} {ours}, the paper's {paper}: {row[f'{axis}_inside']:.0f} inside"
