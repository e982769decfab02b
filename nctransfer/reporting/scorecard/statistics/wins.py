"""Share of the places at which one selection is above another."""

from collections.abc import Iterator

import pandas as pd
from scipy import stats

from nctransfer.reporting.scorecard.findings import Finding, nothing, paired
from nctransfer.reporting.scorecard.settings import PairsSettings


class Options(PairsSettings):
    """Rows to compare, and places (panels, units)."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Share of places where ``value`` is higher under ``of`` than under ``minus``, with Wilson's interval."""
    gaps = paired(table, options, options.over)["difference"]
    if gaps.empty:
        yield nothing("all", "no place has both")
        return
    wins = int((gaps > 0).sum())
    low, high = stats.binomtest(wins, len(gaps)).proportion_ci(method="wilson")
    yield Finding("all", wins / len(gaps), float(low), float(high), len(gaps), f"{wins} of {len(gaps)}")
