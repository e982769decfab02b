"""How far a place is from the best, such as the paper's tuned layer from the best layer to tune."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """The highest ``value`` less that at a share of the depth, in every panel.

    Args:
        table: numbers of a figure, with ``depth``.
        options: place, value (columns); at: share of the depth (the nearest place is taken).
    """
    place, value = options["place"], options["value"]
    findings = []
    for name, part in parts(table):
        points = numbers(part, (place, value, "depth")).reset_index(drop=True)
        if len(points) < 2:
            findings.append(nothing(name, f"{len(points)} places", len(points)))
            continue
        row = points.loc[(points[place] - options["at"] * points["depth"]).abs().idxmin()]
        note = f"{place} {row[place]:g} of {row['depth']:g}"
        findings.append(Finding(name, float(points[value].max() - row[value]), points=len(points), note=note))
    return findings
