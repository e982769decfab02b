"""Correlation of two columns, part by part."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.fits import correlation
from nctransfer.reporting.scorecard.findings import (
    Finding,
    nothing,
    numbers,
    parts,
    spearman_interval,
    together,
)


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Correlate ``x`` with ``y`` over the rows of every panel.

    Args:
        table: numbers of a figure or table.
        options: x, y (columns); ranks (Spearman's rho instead of Pearson's r); by (further columns that make
            a part); pooled (columns that make a part, panels together).
    """
    x, y = options["x"], options["y"]
    pooled = options.get("pooled")
    split = parts(table, options.get("by", ())) if pooled is None else together(table, pooled)
    findings = []
    for name, part in split:
        points = numbers(part, (x, y))
        related = correlation(points[x].to_numpy(), points[y].to_numpy())
        if pd.isna(related.pearson):
            findings.append(
                nothing(name, f"{x} and {y} of {len(points)} points have no correlation", len(points))
            )
        elif options.get("ranks"):
            interval = spearman_interval(related.spearman, len(points))
            findings.append(Finding(name, related.spearman, *interval, points=len(points)))
        else:
            interval = related.pearson_low, related.pearson_high
            findings.append(Finding(name, related.pearson, *interval, points=len(points)))
    return findings
