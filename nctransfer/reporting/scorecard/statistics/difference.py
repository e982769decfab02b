"""The difference between two rows of a panel, such as two methods' accuracies."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_of, nothing, one_row, parts, welch


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """``value`` of the row that ``of`` selects less that of the row that ``minus`` selects, in every panel.

    The interval is over seeds (Welch); there is none for single runs.

    Args:
        table: numbers of a figure or table.
        options: value, of, minus (selections).
    """
    findings = []
    for name, part in parts(table):
        (first, why), (second, why_not) = (one_row(part, options[key]) for key in ("of", "minus"))
        if first is None or second is None:
            findings.append(nothing(name, why or why_not))
            continue
        a, b = mean_of(first, options["value"]), mean_of(second, options["value"])
        findings.append(Finding(name, a[0] - b[0], *welch(a, b), points=a[2] + b[2]))
    return findings
