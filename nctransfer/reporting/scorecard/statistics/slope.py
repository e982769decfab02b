"""Slope of a quantity over another, the same in all panels: a least-squares line within panels."""

from typing import Literal

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.estimates import Bound, student
from nctransfer.reporting.scorecard.findings import Finding, Part, finding_of, names_of, nothing, numbers
from nctransfer.reporting.scorecard.settings import PointsSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth
from nctransfer.settings import Name


class Options(PointsSettings):
    """Points, and what makes one."""

    unit: tuple[str, ...]
    """Columns that make a point of a panel; the rows of one (shots, methods) are averaged."""
    within: tuple[str, ...] = ("panel",)
    """Columns of the groups that have a line each, of one slope."""
    varies: Name
    """What the points are, for readers."""
    scale: Literal["difference", "ratio"] = "difference"
    """Of the ordinate: as it is, or its logarithm (the effect is then the factor per step of `x`)."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Slope of the line of ``y`` on ``x`` with an intercept for every group, by Student's t.

    Exact for independent normal errors, also for the three points of a panel, of which too few orders exist
    for a permutation test.
    """
    xs, ys, units, shown = [], [], [], []
    for _, part in table.groupby(list(options.within), sort=False):
        name = str(part["title"].iloc[0])
        points = numbers(part, (options.x, options.y))
        if options.scale == "ratio":
            points[options.y] = np.log(points[options.y].where(points[options.y] > 0))
        names = names_of(part.loc[points.index], options.unit)
        averaged = points.groupby(names).mean().dropna()
        units.append(list(averaged.index))
        x, y = averaged.to_numpy(float).T
        if len(x) < 2 or np.ptp(x) == 0:
            return nothing(f"{name}: {len(x)} points", len(x))
        x, y = x - x.mean(), y - y.mean()
        xs.append(x)
        ys.append(y)
        own = float(x @ y / (x @ x))
        shown.append(Part(name, float(np.exp(own)) if options.scale == "ratio" else own, points=len(x)))
    if len(xs) > 1 and all(names == units[0] for names in units):
        # the same units in every panel: what is special about one shows in all, so they are averaged
        xs, ys = [np.mean(xs, axis=0)], [np.mean(ys, axis=0)]
    x, y = np.concatenate(xs), np.concatenate(ys)
    freedom = len(x) - len(xs) - 1
    if freedom < 1:
        return nothing(f"a line through {len(x)} points in {len(xs)} panels fits always", len(x), shown)
    slope = float(x @ y / (x @ x))
    error = float(np.sqrt(((y - slope * x) ** 2).sum() / freedom / (x @ x)))
    estimate = student(slope, error, freedom, len(x), options.varies)
    if options.scale == "ratio":
        estimate = estimate.exponential()
    return finding_of(estimate, bound, shown)


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Normal scatter, with the spread, about a line of the effect; all rows of a point have the same."""
    codes, names = pd.factorize(names_of(table, [*options.within, *options.unit]))
    x = pd.to_numeric(table[options.x], errors="coerce").to_numpy(float)
    effect = np.log(truth.effect) if options.scale == "ratio" else truth.effect
    y = effect * x + truth.spread * generator.normal(size=len(names))[codes]
    return table.assign(**{options.y: np.exp(y) if options.scale == "ratio" else y})
