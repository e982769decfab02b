"""Whether one row of a panel is the lowest or the highest."""

from collections.abc import Iterator
from typing import Literal

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_of, nothing, one_row, parts, welch
from nctransfer.reporting.scorecard.settings import Selection
from nctransfer.settings import Settings


class Options(Settings):
    """Row and end to compare."""

    which: Selection
    """The row, one in every panel."""
    value: str
    """Column of the quantity."""
    end: Literal["lowest", "highest"]
    """Claimed end of the row."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """How far the row of ``which`` lies beyond its nearest neighbour, in every panel; positive at the end.

    The interval is over seeds (Welch); single runs have none.
    """
    value = options.value
    for name, part in parts(table):
        row, reason = one_row(part, options.which)
        others = part[:0] if row is None else part.drop(index=row.name).dropna(subset=[value])
        if row is None or others.empty:
            yield nothing(name, reason or "nothing to compare with")
            continue
        lowest = options.end == "lowest"
        nearest = others.iloc[others[value].argmin() if lowest else others[value].argmax()]
        ends = (nearest, row) if lowest else (row, nearest)
        (upper, lower) = (mean_of(end, value) for end in ends)
        interval = welch(upper, lower)
        yield Finding(name, upper[0] - lower[0], *interval, points=len(others) + 1)
