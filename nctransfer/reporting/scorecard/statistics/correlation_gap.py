"""How much more strongly one quantity is correlated with another than a third is: the mean over panels."""

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.reporting.scorecard.estimates import Bound, Numbers, shifted
from nctransfer.reporting.scorecard.findings import (
    Finding,
    Part,
    finding_of,
    names_of,
    nothing,
    numbers,
    parts,
)
from nctransfer.reporting.scorecard.settings import PointsSettings
from nctransfer.reporting.scorecard.statistics.correlation import sums
from nctransfer.reporting.scorecard.worlds import Truth, unit_codes

FEWEST = 5
ENUMERATED = 11  # points; 2^n exchanges of at most so many are enumerated
DRAWN = 2048


class Options(PointsSettings):
    """Two columns to compare by their rank correlation with a third."""

    other: str
    """Column that is compared with `x`."""
    unit: tuple[str, ...]
    """Columns that name the points."""
    opposed: bool = False
    """Whether `x` and `other` are expected to be related to `y` in opposite directions."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Mean over panels of |rho(x, y)| less |rho(other, y)|, Spearman's.

    Under the null hypothesis the two are alike, so that of any point their ranks may be exchanged: alike in
    all panels, which have the same points. Panels in which both columns are the same are left out.
    """
    gaps: dict[tuple[str, ...], list[Numbers]] = {}
    shown: list[Part] = []
    for name, part in parts(table):
        points = numbers(part, (options.x, options.other, options.y))
        x, other, y = points.to_numpy(float).T
        if np.array_equal(x, other):
            continue
        if len(points) < FEWEST or min(np.ptp(x), np.ptp(other), np.ptp(y)) == 0:
            return nothing(f"{name}: no correlation of {len(points)} points", len(points))
        names = names_of(part.loc[points.index], options.unit)
        order = np.argsort(names.to_numpy(), kind="stable")
        x, other, y = (stats.rankdata(values[order]) for values in (x, other, y))
        gap = _exchanged(x, len(x) + 1 - other if options.opposed else other, y)
        gaps.setdefault(tuple(np.sort(names)), []).append(gap)
        shown.append(Part(name, float(gap[0]), points=len(x)))
    if not gaps:
        return nothing("no panel in which the two differ")
    null = sums([np.sum(group, axis=0) for group in gaps.values()]) / len(shown)
    count = min(part.points for part in shown)
    return finding_of(shifted(float(null[0]), null, count, " and ".join(options.unit)), bound, shown)


def _exchanged(x: Numbers, other: Numbers, y: Numbers) -> Numbers:
    """The gap for every exchange of x and other at some of the points, the given one first."""
    n = len(x)
    if n <= ENUMERATED:
        swap = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    else:
        swap = np.random.default_rng(0).random((DRAWN, n)) < 0.5
        swap[0] = False
    first, second = np.where(swap, other, x), np.where(swap, x, other)
    gap: Numbers = np.abs(_related(first, y)) - np.abs(_related(second, y))
    return gap


def _related(rows: Numbers, y: Numbers) -> Numbers:
    centred = rows - rows.mean(1, keepdims=True)
    size = np.linalg.norm(centred, axis=1) * np.linalg.norm(y - y.mean())
    related: Numbers = centred @ (y - y.mean()) / np.where(size > 0, size, np.inf)
    return related


def simulate(
    table: pd.DataFrame, options: Options, truth: Truth, generator: np.random.Generator
) -> pd.DataFrame:
    """Two normals whose correlations with a third differ by the effect, about a mean of one half."""
    codes, count = unit_codes(table, options.unit)
    y = generator.normal(size=count)[codes]
    sign = -1 if options.opposed else 1
    columns = {options.y: y}
    for column, rho in ((options.x, 0.5 + truth.effect / 2), (options.other, 0.5 - truth.effect / 2)):
        noise = np.sqrt(0.5) * (generator.normal(size=count)[codes] + generator.normal(size=len(table)))
        columns[column] = (sign if column == options.other else 1) * (rho * y + np.sqrt(1 - rho**2) * noise)
    return table.assign(**columns)
