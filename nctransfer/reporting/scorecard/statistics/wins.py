"""In what share of the places one selection is above another."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy import stats

from nctransfer.reporting.scorecard.findings import Finding, nothing, paired


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Share of places where ``value`` is higher under ``of`` than under ``minus``, with Wilson's interval.

    Args:
        table: numbers of a figure or table.
        options: value, of, minus (selections), over (columns that make a place).
    """
    gaps = paired(table, options["of"], options["minus"], options["value"], options["over"])["difference"]
    if gaps.empty:
        return [nothing("all", "no place has both")]
    wins = int((gaps > 0).sum())
    interval = stats.binomtest(wins, len(gaps)).proportion_ci(method="wilson")
    note = f"{wins} of {len(gaps)}"
    return [Finding("all", wins / len(gaps), float(interval.low), float(interval.high), len(gaps), note)]
