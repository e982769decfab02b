"""The largest of known numbers, such as shares of parameters: nothing varies."""

import numpy as np
import pandas as pd
from pydantic import Field

from nctransfer.reporting.scorecard.estimates import Bound, certain
from nctransfer.reporting.scorecard.findings import Finding, Part, finding_of, nothing, select
from nctransfer.reporting.scorecard.settings import Selection
from nctransfer.reporting.scorecard.worlds import Random, Truth
from nctransfer.settings import Settings


class Options(Settings):
    """Numbers, and what they are divided by."""

    value: str
    """Column of the numbers."""
    of: Selection = Field(default_factory=dict)
    """Their rows."""
    over: Selection | None = None
    """Rows of the panel whose largest number they are divided by; by 1 if this is missing."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """The largest of the numbers, or of their ratios, over panels."""
    found = select(table, options.of).groupby("panel", sort=False)[options.value].agg(["max", "count"])
    base = 1.0 if options.over is None else select(table, options.over).groupby("panel")[options.value].max()
    titles = table.groupby("panel", sort=False)["title"].first()
    ratios = (found["max"] / base).reindex(titles.index)
    counts = found["count"].reindex(titles.index).fillna(0)
    shown = [
        Part(str(title), float(ratio), points=int(count))
        for title, ratio, count in zip(titles, ratios, counts, strict=True)
    ]
    if any(np.isnan(part.effect) for part in shown):
        return nothing("a panel has no numbers", parts=shown)
    if not shown:
        return nothing("no numbers")
    return finding_of(certain(max(part.effect for part in shown), len(shown), "nothing"), bound, shown)


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """The numbers are the effect, or that multiple of 1."""
    values = np.ones(len(table))
    values[table.index.isin(select(table, options.of).index)] = truth.effect
    return table.assign(**{options.value: values})
