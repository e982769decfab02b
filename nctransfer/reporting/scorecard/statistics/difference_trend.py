"""Whether the difference between two selections rises or falls along the places that both have."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.fits import correlation
from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, paired, spearman_interval


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Rank correlation of the place with the difference of ``value`` between ``of`` and ``minus``.

    Args:
        table: numbers of a figure or table.
        options: value, of, minus (selections), place (column).
    """
    place = options["place"]
    gaps = paired(table, options["of"], options["minus"], options["value"], [place])
    points = numbers(gaps, (place, "difference"))
    related = correlation(points[place].to_numpy(), points["difference"].to_numpy())
    if pd.isna(related.spearman):
        return [nothing("all", f"no rank correlation of {len(points)} places", len(points))]
    interval = spearman_interval(related.spearman, len(points))
    return [Finding("all", related.spearman, *interval, points=len(points))]
