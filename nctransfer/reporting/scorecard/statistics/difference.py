"""The difference between two rows of a panel, such as two methods' accuracies."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_of, nothing, one_row, parts, welch
from nctransfer.reporting.scorecard.settings import DifferenceSettings


class Options(DifferenceSettings):
    """Which rows: one of each selection in every panel."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """``value`` of the row that ``of`` selects less that of the row that ``minus`` selects, in every panel.

    The interval is over seeds (Welch); there is none for single runs.
    """
    for name, part in parts(table):
        (first, why), (second, why_not) = (one_row(part, rows) for rows in (options.of, options.minus))
        if first is None or second is None:
            yield nothing(name, why or why_not)
            continue
        a, b = mean_of(first, options.value), mean_of(second, options.value)
        yield Finding(name, a[0] - b[0], *welch(a, b), points=a[2] + b[2])
