"""The difference between two rows of a panel, such as two methods' accuracies."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_of, nothing, one_row, parts, welch
from nctransfer.reporting.scorecard.settings import DifferenceSettings


class Options(DifferenceSettings):
    """Rows to compare: one of each selection in every panel."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """``value`` of the row that ``of`` selects minus that of the row that ``minus`` selects, in every panel.

    The interval is over seeds (Welch); single runs have none.
    """
    for name, part in parts(table):
        (first, reason), (second, other_reason) = (
            one_row(part, rows) for rows in (options.of, options.minus)
        )
        if first is None or second is None:
            yield nothing(name, reason or other_reason)
            continue
        a, b = mean_of(first, options.value), mean_of(second, options.value)
        yield Finding(name, a[0] - b[0], *welch(a, b), points=a[2] + b[2])
