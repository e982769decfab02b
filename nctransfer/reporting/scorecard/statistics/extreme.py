"""Whether one row of a panel is the lowest or the highest."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_of, nothing, one_row, parts, welch


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """How far the row of ``which`` lies beyond the nearest other one, in every panel; positive at the end.

    The interval is over seeds (Welch); there is none for single runs.

    Args:
        table: numbers of a figure or table.
        options: which (a selection), value, end: ``lowest`` or ``highest``.
    """
    value, findings = options["value"], []
    for name, part in parts(table):
        row, why = one_row(part, options["which"])
        others = part.drop(index=row.name)[value].dropna() if row is not None else part[value][:0]
        if row is None or others.empty:
            findings.append(nothing(name, why or "nothing to compare with"))
            continue
        lowest = options["end"] == "lowest"
        nearest = part.loc[others.idxmin() if lowest else others.idxmax()]
        ends = (nearest, row) if lowest else (row, nearest)
        (upper, lower) = (mean_of(end, value) for end in ends)
        interval = welch(upper, lower)
        findings.append(Finding(name, upper[0] - lower[0], *interval, points=len(others) + 1))
    return findings
