"""Whether points between two ends, such as small adversarial radii, are higher than both ends."""

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.intervals import Numbers, orders
from nctransfer.reporting.scorecard.estimates import Bound, shifted
from nctransfer.reporting.scorecard.findings import Finding, Part, finding_of, nothing, parts, select
from nctransfer.reporting.scorecard.settings import Selection
from nctransfer.reporting.scorecard.worlds import Random, Truth
from nctransfer.settings import Name, Settings


class Options(Settings):
    """Points and their places; all of one panel are permuted."""

    value: str
    """Column of the quantity."""
    first: Selection
    """The point at the first end."""
    middle: Selection
    """Points that should have more than both ends."""
    last: Selection
    """The point at the last end."""
    others: Selection
    """All other points on the way; those above may be among them."""
    varies: Name
    """What the points are, for readers."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Mean of the middle less the higher of the two ends, in standard deviations of the points, over panels.

    By permutation of the points, alike in all panels: each is a single network, which no number of test
    images makes two.
    """
    gaps: list[Numbers] = []
    shown: list[Part] = []
    for name, part in parts(table):
        places = [select(part, chosen).index for chosen in (options.first, options.middle, options.last)]
        if len(places[0]) != 1 or len(places[2]) != 1 or not len(places[1]):
            return nothing(f"{name}: no first, middle or last point", parts=shown)
        middle = places[1].difference(places[0].union(places[2]))
        rest = select(part, options.others).index.difference(places[0].union(middle).union(places[2]))
        rows = [*places[0], *middle, *places[2], *rest]
        y = part.loc[rows, options.value].to_numpy(float)
        if np.isnan(y).any() or np.ptp(y) == 0 or not len(middle):
            return nothing(f"{name}: a number is missing, or all are equal", parts=shown)
        gaps.append(_gaps(stats.zscore(y, ddof=1), len(middle)))
        points = _gaps(y, len(middle))[0]
        shown.append(Part(name, float(points), points=len(rows)))
    if not gaps or len({len(gap) for gap in gaps}) > 1:
        return nothing("the panels have different points", parts=shown)
    null = np.mean(gaps, axis=0)
    mean = np.mean([part.effect for part in shown])
    estimate = shifted(float(null[0]), null, shown[0].points, options.varies)
    return finding_of(estimate, bound, shown, f"{mean:.2f} points on average")


def _gaps(values: Numbers, middle: int) -> Numbers:
    """For all orders of the values (first, middle ..., last, others) the gap, the given one first."""
    drawn = values[orders(len(values))]
    ends = np.maximum(drawn[:, 0], drawn[:, 1 + middle])
    gaps: Numbers = drawn[:, 1 : 1 + middle].mean(1) - ends
    return gaps


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Networks that scatter about one mean, half of it the same in all panels; the middle is higher."""
    worlds, networks = [], generator.normal(size=100)
    for _, part in table.groupby("panel", sort=False):
        noise = np.sqrt(0.5) * (networks[: len(part)] + generator.normal(size=len(part)))
        y = 70 + noise + truth.effect * part.index.isin(select(part, options.middle).index)
        worlds.append(part.assign(**{options.value: y}))
    return pd.concat(worlds)
