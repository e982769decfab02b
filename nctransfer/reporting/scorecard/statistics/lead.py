"""How far a method is ahead of another with the fewest samples, and until how many (Fig. 8)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_of, nothing, one_row, parts, welch


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Transfer accuracy of ``method`` less full fine-tuning's at the fewest samples a class, in every panel.

    The note says from how many samples a class on full fine-tuning is ahead.

    Args:
        table: numbers of a ``samples`` figure.
        options: method.
    """
    findings = []
    for name, part in parts(table):
        trained = part.dropna(subset=["per_class"])
        (row, why), (full, why_not) = (
            one_row(trained, {"method": method, "per_class": "lowest"})
            for method in (options["method"], "full_ft")
        )
        if row is None or full is None:
            findings.append(nothing(name, why or why_not))
            continue
        a, b = mean_of(row, "transfer_accuracy"), mean_of(full, "transfer_accuracy")
        turn, most = row["full_ft_ahead_from"], trained["per_class"].max()
        note = (
            f"ahead up to {most:g} samples a class, the most tried"
            if pd.isna(turn)
            else f"full FT is ahead from about {turn:.3g} samples a class on"
        )
        findings.append(
            Finding(name, a[0] - b[0], *welch(a, b), points=trained["per_class"].nunique(), note=note)
        )
    return findings
