"""Correlation of two columns, part by part."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.fits import correlation
from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.findings import Finding
from nctransfer.reporting.scorecard.settings import PointsSettings


class Options(PointsSettings):
    """Columns to correlate, and their grouping."""

    ranks: bool = False
    """Use Spearman's rho instead of Pearson's r."""
    by: tuple[str, ...] = ()
    """Columns that split panels into parts."""
    pooled: tuple[str, ...] | None = None
    """Columns that split all panels together into parts."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Correlate ``x`` with ``y`` over the rows of every panel."""
    x, y = options.x, options.y
    by, pooled = options.by, options.pooled
    split = findings.parts(table, by) if pooled is None else findings.together(table, pooled)
    for name, part in split:
        points = findings.numbers(part, (x, y))
        count, related = len(points), correlation(points[x].to_numpy(), points[y].to_numpy())
        if pd.isna(related.pearson):
            yield findings.nothing(name, f"{x} and {y} of {count} points have no correlation", count)
        elif options.ranks:
            interval = findings.spearman_interval(related.spearman, count)
            yield Finding(name, related.spearman, *interval, points=count)
        else:
            interval = related.pearson_low, related.pearson_high
            yield Finding(name, related.pearson, *interval, points=count)
