"""Whether one row of a panel is the lowest or the highest."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, one_row, parts


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """How far the row of ``which`` lies beyond the nearest other one, in every panel; positive at the end.

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
        beyond = others.min() - row[value] if options["end"] == "lowest" else row[value] - others.max()
        findings.append(Finding(name, float(beyond), points=len(others) + 1))
    return findings
