"""Whether the difference between two selections rises or falls along their common places."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.fits import correlation
from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, paired, spearman_interval
from nctransfer.reporting.scorecard.settings import DifferenceSettings


class Options(DifferenceSettings):
    """Rows to compare, and the places."""

    place: str
    """Column of the places."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Rank correlation of the place with the difference of ``value`` between ``of`` and ``minus``."""
    points = numbers(paired(table, options, [options.place]), (options.place, "difference"))
    related = correlation(points[options.place].to_numpy(), points["difference"].to_numpy())
    if pd.isna(related.spearman):
        yield nothing("all", f"no rank correlation of {len(points)} places", len(points))
        return
    interval = spearman_interval(related.spearman, len(points))
    yield Finding("all", related.spearman, *interval, points=len(points))
