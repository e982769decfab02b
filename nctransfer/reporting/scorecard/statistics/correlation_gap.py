"""How much more strongly one quantity is correlated with another than a third is: the mean over panels."""

from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.intervals import Numbers
from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound, shifted, sums
from nctransfer.reporting.scorecard.settings import PointsSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth, unit_codes

FEWEST = 5
ENUMERATED = 11  # points; 2^n exchanges of at most so many are enumerated
DRAWN = 2048


class Options(PointsSettings):
    """Two columns to compare by their rank correlation with a third."""

    other: str
    """Column that is compared with `x`."""
    unit: tuple[str, ...]
    """Columns that name the points."""
    signs: tuple[Literal[-1, 0, 1], Literal[-1, 0, 1]]
    """Expected signs of the two correlations, which count in that direction; 0: in either."""
    together: bool = False
    """Exchange the two at all points of a panel or at none, because its points are not independent."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """Mean over panels of the strength of rho(x, y) less that of rho(other, y), Spearman's.

    Under the null hypothesis the two are alike, so that of any point their ranks may be exchanged: alike in
    all panels, which have the same points. Panels in which both columns are the same are left out.
    """
    gaps: dict[tuple[str, ...], list[Numbers]] = {}
    shown: list[findings.Part] = []
    for name, part in findings.parts(table):
        points = findings.numbers(part, (options.x, options.other, options.y))
        x, other, y = points.to_numpy(float).T
        if np.array_equal(x, other):
            continue
        if len(points) < FEWEST or min(np.ptp(x), np.ptp(other), np.ptp(y)) == 0:
            return findings.nothing(f"{name}: no correlation of {len(points)} points", len(points))
        names = findings.names_of(part.loc[points.index], options.unit)
        order = np.argsort(names.to_numpy(), kind="stable")
        x, other, y = (stats.rankdata(values[order]) for values in (x, other, y))
        gap = _exchanged(x, other, y, options)
        gaps.setdefault(tuple(np.sort(names)), []).append(gap)
        shown.append(findings.Part(name, float(gap[0]), points=len(x)))
    if not gaps:
        return findings.nothing("no panel in which the two differ")
    null = sums([np.sum(group, axis=0) for group in gaps.values()]) / len(shown)
    count = min(part.points for part in shown)
    return findings.finding_of(
        shifted(float(null[0]), null, count, findings.plural(options.unit)), bound, shown
    )


def _exchanged(x: Numbers, other: Numbers, y: Numbers, options: Options) -> Numbers:
    """The gap for every exchange of x and other at some of the points, the given one first."""
    n, (sign, other_sign) = len(x), options.signs
    turned = sign * other_sign < 0 or (
        0 in options.signs and _related(x[None], y)[0] * _related(other[None], y)[0] < 0
    )
    other = n + 1 - other if turned else other  # so that both are related to y in the same direction
    if options.together:
        swap = np.array([[False] * n, [True] * n])
    elif n <= ENUMERATED:
        swap = (np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 1
    else:
        swap = np.random.default_rng(0).random((DRAWN, n)) < 0.5
        swap[0] = False
    first, second = np.where(swap, other, x), np.where(swap, x, other)
    other_sign = -other_sign if turned else other_sign
    gap: Numbers = _strength(_related(first, y), sign) - _strength(_related(second, y), other_sign)
    return gap


def _strength(related: Numbers, sign: int) -> Numbers:
    return np.abs(related) if sign == 0 else sign * related


def _related(rows: Numbers, y: Numbers) -> Numbers:
    centred = rows - rows.mean(1, keepdims=True)
    size = np.linalg.norm(centred, axis=1) * np.linalg.norm(y - y.mean())
    related: Numbers = centred @ (y - y.mean()) / np.where(size > 0, size, np.inf)
    return related


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Two normals whose correlations with a third differ by the effect, about a mean of one half."""
    codes, count = unit_codes(table, options.unit)
    y = generator.normal(size=count)[codes]
    columns = {options.y: y}
    for column, rho in ((options.x, 0.5 + truth.effect / 2), (options.other, 0.5 - truth.effect / 2)):
        noise = np.sqrt(0.5) * (generator.normal(size=count)[codes] + generator.normal(size=len(table)))
        turned = options.signs[0] < 0 if column == options.x else options.signs[1] < 0
        columns[column] = (-1 if turned else 1) * (rho * y + np.sqrt(1 - rho**2) * noise)
    return table.assign(**columns)
