"""Whether a relation rises and then falls: two lines, one on each side of a turn (after Simonsohn 2018).

A parabola has a maximum within the range of most curves that rise, level off and never fall.
"""

import numpy as np
import pandas as pd

from nctransfer.errors import ConfigError
from nctransfer.intervals import Numbers, orders
from nctransfer.reporting.scorecard.estimates import ALPHA, TINY, Bound
from nctransfer.reporting.scorecard.findings import Finding, Part, names_of, nothing, numbers, parts, plural
from nctransfer.reporting.scorecard.settings import PointsSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth

SIDE = 3  # points on each side of the turn


class Options(PointsSettings):
    """Points, and where the turn may be."""

    unit: tuple[str, ...]
    """Columns that name the points, which are the same in all panels."""
    between: tuple[float, float] | None = None
    """Range of the turn on the abscissa; anywhere if this is missing."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """The less certain of the two slopes (rise before the turn, fall after it), as a multiple of its error.

    Errors are pooled over both lines, slopes' t averaged over panels. The turn is where the lesser t is
    highest, and each side is compared with the highest t of that side for any turn, over orders of the points
    without a relation: so the choice of the turn is paid for, and a curve that only levels off passes by
    chance alone.
    """
    if bound.ends != (0, np.inf):
        raise ConfigError("statistic 'rise_and_fall' tests against 0: direction above, threshold 0")
    curves, shown = [], []
    for name, part in parts(table):
        points = numbers(part, (options.x, options.y))
        names = names_of(part.loc[points.index], options.unit)
        curves.append(points.set_index(names.to_numpy()).sort_index())
        shown.append(Part(name, float("nan"), points=len(points)))
    if not curves or any(not curve.index.equals(curves[0].index) for curve in curves):
        return nothing("the panels have different points", parts=shown)
    x = np.mean([curve[options.x].to_numpy(float) for curve in curves], axis=0)
    order = np.argsort(x, kind="stable")
    x, (low, high) = x[order], options.between or (-np.inf, np.inf)
    # those between two points that can lie in the range
    turns = [t for t in range(SIDE, len(x) - SIDE + 1) if x[t] >= low and x[t - 1] <= high]
    if not turns or len(x) < 2 * SIDE + 1:
        reason = "of the turn" if len(x) >= 2 * SIDE + 1 else "at all"
        return nothing(f"{len(x)} points: fewer than {SIDE} on each side {reason}", len(x), shown)
    ys = [curve[options.y].to_numpy(float)[order] for curve in curves]
    rising, falling = np.mean([_sides(x, y[orders(len(x))], turns) for y in ys], axis=0)
    best = int(np.minimum(rising[:, 0], falling[:, 0]).argmax())
    sides = [(side[best, 0], side.max(0)) for side in (rising, falling)]
    ps = [float(np.mean(most >= found - TINY)) for found, most in sides]
    opposite = [float(np.mean(side.max(0) <= side[best, 0] + TINY)) for side in (rising, falling)]
    found, most = sides[int(np.argmax(ps))]
    reach = np.sort(most)[len(most) - 1 - int(ALPHA * len(most))]
    turn = (x[turns[best] - 1] + x[turns[best]]) / 2
    shown = [
        Part(part.part, float(min(_sides(x, y[None], turns)[:, best, 0])), points=part.points)
        for part, y in zip(shown, ys, strict=True)
    ]
    note = f"turn at {turn:.3g}; p = {ps[0]:.2g} of the rise, {ps[1]:.2g} of the fall"
    value = float(found)
    return Finding(
        value, value - float(reach), value + float(reach), len(x), plural(options.unit),
        supported=max(ps), refuted=min(opposite), least=1 / len(most), note=note, parts=tuple(shown),
    )  # fmt: skip


def _sides(x: Numbers, y: Numbers, turns: list[int]) -> Numbers:
    """T of the slope before, and of the fall after every turn, (2, turns, rows), for rows of y, (rows, n)."""
    found = np.empty((2, len(turns), len(y)))
    for place, turn in enumerate(turns):
        slopes, squares, widths = [], np.zeros(len(y)), []
        for side in (slice(0, turn), slice(turn, None)):
            dx, dy = x[side] - x[side].mean(), y[:, side] - y[:, side].mean(1, keepdims=True)
            width = float(dx @ dx)
            slope = dy @ dx / width if width > 0 else np.zeros(len(y))
            squares += ((dy - slope[:, None] * dx) ** 2).sum(1)
            slopes.append(slope)
            widths.append(width)
        error = np.sqrt(np.maximum(squares, 1e-12) / (len(x) - 4))
        found[0, place] = slopes[0] / error * np.sqrt(widths[0])
        found[1, place] = -slopes[1] / error * np.sqrt(widths[1])
    return found


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """A rise, then a fall by the effect (0: level), in deviations of the scatter, half of it shared."""
    codes, names = pd.factorize(names_of(table, options.unit))
    between = options.between or (0.5, 2.0)
    low, high = between[0] * 0.4, between[1] * 1.2
    x = np.exp(generator.uniform(np.log(low), np.log(high), len(names)))
    scaled = (np.log(x) - np.log(low)) / np.log(high / low)
    shape = np.where(
        scaled < 0.5, 2 * scaled * abs(truth.spread), abs(truth.spread) - truth.effect * (2 * scaled - 1)
    )
    own = generator.normal(size=len(table))
    y = 70 + shape[codes] + np.sqrt(0.5) * (generator.normal(size=len(names))[codes] + own)
    return table.assign(**{options.x: x[codes], options.y: y})
