"""Correlation of two columns: the mean over panels, tested by permutation of what the points are."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.intervals import Numbers, next_order, orders, pearson_interval, spearman_interval
from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound, correlation, sums
from nctransfer.reporting.scorecard.settings import PointsSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth, unit_codes

Points = tuple[str, tuple[str, ...], pd.DataFrame]  # panel, its units, their x and y
FEWEST = 4  # points; any three lie close to some line


class Options(PointsSettings):
    """Columns to correlate, and their grouping."""

    unit: tuple[str, ...]
    """Columns that name what is permuted, such as models: alike in all panels that have the same ones."""
    ranks: bool = False
    """Use Spearman's rho instead of Pearson's r."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """Mean over panels of the correlation of ``x`` with ``y``.

    Under the null hypothesis it does not matter which unit has which ``y``. Its orders are the same in all
    panels with the same units, because what is special about a unit (a model, a method) shows in every panel.
    The mean is taken of Fisher's z, in which the permutation distribution is shifted to give the interval.
    """
    groups: dict[tuple[str, ...], list[tuple[str, Numbers, Numbers]]] = {}
    lacking = []
    for name, units, points in _common(list(_points(table, options))):
        x, y = points.to_numpy().T
        if len(points) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
            lacking.append(
                findings.Part(name, np.nan, points=len(points), note="no correlation of these points")
            )
            continue
        groups.setdefault(units, []).append((name, _scaled(x, options.ranks), _scaled(y, options.ranks)))
    if lacking or not groups:
        return findings.nothing(lacking[0].note if lacking else "no points", parts=lacking)
    shown, scores, size = [], [], sum(map(len, groups.values()))
    for units, members in groups.items():
        drawn = np.zeros(len(orders(len(units))))
        for name, x, y in members:
            related = y[orders(len(units))] @ x
            shown.append(_part(name, float(related[0]), len(units), options.ranks))
            drawn += np.arctanh(np.clip(related, *_limits(len(units), options.ranks))) / size
        scores.append(drawn)
    effect = float(np.mean([part.effect for part in shown]))
    estimate = correlation(effect, sums(scores), min(map(len, groups)), findings.plural(options.unit))
    return findings.finding_of(estimate, bound, shown)


def _points(table: pd.DataFrame, options: Options) -> Iterator[Points]:
    for name, part in findings.parts(table):
        points = findings.numbers(part, (options.x, options.y))
        names = findings.names_of(part.loc[points.index], options.unit)
        ordered = points.assign(name=names).sort_values("name", kind="stable")
        yield name, tuple(ordered.pop("name")), ordered


def _common(panels: list[Points]) -> list[Points]:
    """Panels whose units overlap, with those that all of them have: the same units are permuted alike."""
    found = []
    for name, units, points in panels:
        shared = set(units)
        for _, others, _ in panels:
            shared &= set(others) if shared & set(others) else shared
        kept = [unit in shared for unit in units]
        found.append((name, tuple(unit for unit in units if unit in shared), points[kept]))
    return found


def _scaled(values: Numbers, ranks: bool) -> Numbers:
    """Values, or their ranks, with mean 0 and length 1: their product is a correlation."""
    centred = stats.rankdata(values) if ranks else np.asarray(values, np.float64)
    centred = centred - centred.mean()
    scaled: Numbers = centred / np.linalg.norm(centred)
    return scaled


def _limits(points: int, ranks: bool) -> tuple[float, float]:
    """A perfect order, which few points show by chance, counts as halfway to the order next to it."""
    inner = (1 + next_order(points)) / 2 if ranks else 1 - 1e-9
    return -inner, inner


def _part(name: str, related: float, points: int, ranks: bool) -> findings.Part:
    interval = spearman_interval(related, points) if ranks else pearson_interval(related, points)
    return findings.Part(name, related, *interval, points=points)


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Two normals; panels with the same units share x and half of what the correlation leaves open."""
    rho = 2 * np.sin(np.pi * truth.effect / 6) if options.ranks else truth.effect
    codes, count = unit_codes(table, options.unit)
    positions, common = generator.normal(size=(2, count))
    remainder = np.sqrt(0.5) * (common[codes] + generator.normal(size=len(table)))
    y = rho * positions[codes] + np.sqrt(1 - rho**2) * remainder
    return table.assign(**{options.x: positions[codes], options.y: y})
