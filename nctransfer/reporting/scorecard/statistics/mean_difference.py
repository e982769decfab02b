"""The mean difference between two selections over the places that both have."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_interval, nothing, paired


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Mean over places (panels, units) of ``value`` under ``of`` less under ``minus``; Student's interval.

    Args:
        table: numbers of a figure or table.
        options: value, of, minus (selections), over (columns that make a place).
    """
    gaps = paired(table, options["of"], options["minus"], options["value"], options["over"])["difference"]
    if gaps.empty:
        return [nothing("all", "no place has both")]
    wins = int((gaps > 0).sum())
    note = f"positive in {wins} of {len(gaps)}"
    return [Finding("all", float(gaps.mean()), *mean_interval(gaps.to_numpy()), points=len(gaps), note=note)]
