"""How far apart two extremes are: the unit of lowest NC1, say, and that of the best probe."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Distance between the places of the lowest and the highest value, in every panel.

    Args:
        table: numbers of a figure.
        options: place, lowest (the column whose lowest value is looked for), highest.
    """
    place, lowest, highest = (options[key] for key in ("place", "lowest", "highest"))
    findings = []
    for name, part in parts(table):
        points = numbers(part, (place, lowest, highest)).reset_index(drop=True)
        if points.empty:
            findings.append(nothing(name, f"no {lowest} and {highest}"))
            continue
        low, high = points[lowest].idxmin(), points[highest].idxmax()
        here, there = points.loc[low, place], points.loc[high, place]
        lost = points[highest].max() - points.loc[low, highest]
        note = (
            f"lowest {lowest} at {place} {here:g}, best at {there:g}: choosing by it loses {lost:.2f} points"
        )
        findings.append(Finding(name, float(abs(here - there)), points=len(points), note=note))
    return findings
