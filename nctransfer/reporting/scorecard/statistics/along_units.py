"""Correlation over the units of networks, which are no independent points: neighbours are alike."""

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.intervals import Numbers, orders, pearson_interval
from nctransfer.reporting.scorecard.estimates import Bound, correlation, shifted, sums
from nctransfer.reporting.scorecard.findings import Finding, Part, finding_of, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PointsSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel

FEWEST = 5  # units: four increments
VARIES = "units"


class Options(PointsSettings):
    """Columns to correlate, and the units."""

    place: str = "unit"
    """Column of the units, in the order of the network."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Mean over networks of Pearson's r over units.

    Two quantities that both drift with depth are correlated whether or not they have to do with each other:
    of two random walks the levels are nearly always. So there are two conditions, by permutation: of the
    levels (against the bound), and of the increments from unit to unit (against zero), which of two walks are
    independent. Levels that scatter about a common trend have the second weaker than the first.
    """
    levels: dict[tuple[float, ...], list[Numbers]] = {}
    steps: dict[tuple[float, ...], list[Numbers]] = {}
    shown: list[Part] = []
    for name, part in parts(table):
        points = numbers(part, (options.place, options.x, options.y)).sort_values(options.place)
        x, y = points[[options.x, options.y]].to_numpy(float).T
        if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
            return nothing(f"{name}: {len(x)} units, or no variation over them")
        related = float(stats.pearsonr(x, y).statistic)
        shown.append(Part(name, related, *pearson_interval(related, len(x)), points=len(x)))
        units = tuple(points[options.place])
        levels.setdefault(units, []).append(np.arctanh(_permuted(x, y)))
        steps.setdefault(units, []).append(np.arctanh(_permuted(np.diff(x), np.diff(y))))
    # panels with the same units (of one network, on several data sets) are permuted alike
    null, increments = (sums([np.sum(each, axis=0) for each in group.values()]) for group in (levels, steps))
    effect = float(np.mean([part.effect for part in shown]))
    estimate = correlation(effect, null / len(shown), min(part.points for part in shown), VARIES)
    moves = shifted(float(increments[0]), increments, 0, VARIES)
    p = moves.below(0.0) if bound.ends[1] < np.inf else moves.above(0.0)
    note = f"of the increments between neighbouring units p = {p:.2g}"
    return finding_of(estimate, bound, shown, note, also=[p], least=moves.least)


def _permuted(x: Numbers, y: Numbers) -> Numbers:
    """Pearson's r of x with y in every order, within what Fisher's z can hold."""
    centred, other = x - x.mean(), y - y.mean()
    size = np.linalg.norm(centred) * np.linalg.norm(other)
    related: Numbers = other[orders(len(x))] @ centred / (size if size > 0 else 1.0)
    return np.clip(related, -1 + 1e-9, 1 - 1e-9)


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Walks over the units that drift, x downwards and y upwards.

    With no correlation they are independent; otherwise y has that correlation with x at independent noise.
    """
    walk = np.cumsum(-1 + generator.normal(size=len(part)))
    noise = generator.normal(size=len(part))
    if truth.effect == 0:
        y = np.cumsum(1 + generator.normal(size=len(part)))
    else:
        ratio = np.sqrt(1 / truth.effect**2 - 1) * walk.std()
        y = np.sign(truth.effect) * walk + ratio * noise
    return part.sort_values(options.place).assign(**{options.x: walk, options.y: y})
