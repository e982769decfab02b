"""Where in the depth of a network a quantity has its extreme."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Place of the lowest ``value``, as a share of the deepest place, in every panel.

    Args:
        table: numbers of a figure.
        options: place, value (columns); by (further columns that make a part).
    """
    place, value = options["place"], options["value"]
    findings = []
    for name, part in parts(table, options.get("by", ())):
        points = numbers(part, (place, value)).reset_index(drop=True)
        if len(points) < 2:
            findings.append(nothing(name, f"{len(points)} places", len(points)))
            continue
        lowest, deepest = points.loc[points[value].idxmin(), place], points[place].max()
        note = f"{place} {lowest:g} of {deepest:g}"
        findings.append(Finding(name, float(lowest / deepest), points=len(points), note=note))
    return findings
