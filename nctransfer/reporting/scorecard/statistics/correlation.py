"""Correlation of two columns, part by part."""

from collections.abc import Iterator

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
from nctransfer.reporting.scorecard.settings import PointsSettings


class Options(PointsSettings):
    """What is correlated, and over what."""

    ranks: bool = False
    """Spearman's rho instead of Pearson's r."""
    by: tuple[str, ...] = ()
    """Further columns that make a part."""
    pooled: tuple[str, ...] | None = None
    """Columns that make a part, panels together."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Correlate ``x`` with ``y`` over the rows of every panel."""
    x, y = options.x, options.y
    split = parts(table, options.by) if options.pooled is None else together(table, options.pooled)
    for name, part in split:
        points = numbers(part, (x, y))
        count, related = len(points), correlation(points[x].to_numpy(), points[y].to_numpy())
        if pd.isna(related.pearson):
            yield nothing(name, f"{x} and {y} of {count} points have no correlation", count)
        elif options.ranks:
            interval = spearman_interval(related.spearman, count)
            yield Finding(name, related.spearman, *interval, points=count)
        else:
            interval = related.pearson_low, related.pearson_high
            yield Finding(name, related.pearson, *interval, points=count)
