"""The mean difference between two selections over their common places."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_interval, nothing, paired
from nctransfer.reporting.scorecard.settings import PairsSettings


class Options(PairsSettings):
    """Rows to compare, and places (panels, units)."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Mean over places of ``value`` under ``of`` minus that under ``minus``; Student's interval."""
    gaps = paired(table, options, options.over)["difference"]
    if gaps.empty:
        yield nothing("all", "no place has both")
        return
    note = f"positive in {(gaps > 0).sum()} of {len(gaps)}"
    yield Finding("all", float(gaps.mean()), *mean_interval(gaps.to_numpy()), points=len(gaps), note=note)
