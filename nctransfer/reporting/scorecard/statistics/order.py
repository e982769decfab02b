"""Whether a quantity grows along a list, such as NC1 from full fine-tuning to the linear probe."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.estimates import Bound
from nctransfer.reporting.scorecard.findings import Finding, weakest
from nctransfer.reporting.scorecard.settings import Value
from nctransfer.reporting.scorecard.statistics import difference
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel, runs
from nctransfer.settings import Settings


class Options(Settings):
    """Quantity, and list along which it should grow."""

    along: str
    """Column of the list."""
    order: tuple[Value, ...]
    """Its values, in the claimed ascending order."""
    value: str
    """Column of the quantity, which must be positive."""
    cluster: tuple[str, ...] = ()
    """As of the statistic `difference`."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """The smallest of the mean ratios of a value to its predecessor in the list: all neighbours must hold."""
    found = []
    for before, after in pairwise(options.order):
        ratio = difference.Options(
            value=options.value, of={options.along: after}, minus={options.along: before}, scale="ratio",
            cluster=options.cluster,
        )  # fmt: skip
        one = difference.measure(table, ratio, bound)
        note = f"{after} over {before}" + (f": {one.note}" if one.note else "")
        found.append(replace(one, note=note))
    return weakest(found)


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Logarithms that grow by that of the effect from one to the next, with the spread between parts."""
    count = len(options.order)
    steps = np.log(truth.effect) * np.arange(count) + truth.spread * generator.normal(size=count)
    by_entry = dict(zip(map(str, options.order), np.exp(steps), strict=True))
    truths = part[options.along].astype(str).map(by_entry).fillna(1.0).to_numpy()
    return runs(part, options.value, truths, 0.0, generator)
