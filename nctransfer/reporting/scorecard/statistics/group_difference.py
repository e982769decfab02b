"""Whether one group of networks differs from another, such as untrained ones from trained ones."""

from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nctransfer.intervals import Numbers
from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound, shifted
from nctransfer.reporting.scorecard.settings import DifferenceSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth

MOST = 20_000  # divisions of the networks into two groups


class Options(DifferenceSettings):
    """Two groups of points, one point of each network in every panel."""

    unit: tuple[str, ...]
    """Columns that name a network."""
    scale: Literal["difference", "ratio"] = "difference"
    """Subtract the means, or divide the geometric ones."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """Mean of the one group less that of the other, averaged over panels.

    By permutation: the networks are divided anew into groups of these sizes, alike in all panels. Each of
    them is a single training, however many test images there are.
    """
    ratio = options.scale == "ratio"
    shown: list[findings.Part] = []
    values: list[Numbers] = []
    names: list[str] = []
    first = 0
    for name, part in findings.parts(table):
        groups = [findings.select(part, chosen) for chosen in (options.of, options.minus)]
        for chosen, group in zip((options.of, options.minus), groups, strict=True):
            if group.empty:
                return findings.nothing(f"{name}: no rows of {findings.described(chosen)}", parts=shown)
        rows = pd.concat([group.assign(unit=findings.names_of(group, options.unit)) for group in groups])
        y = pd.to_numeric(rows[options.value], errors="coerce").to_numpy(float)
        if ratio:
            y = np.log(np.where(y > 0, y, np.nan))
        if np.isnan(y).any() or (names and list(rows["unit"]) != names):
            return findings.nothing(
                f"{name}: a number is missing, or a network that other panels have", parts=shown
            )
        names, first = list(rows["unit"]), len(groups[0])
        gap = float(y[:first].mean() - y[first:].mean())
        shown.append(findings.Part(name, float(np.exp(gap)) if ratio else gap, points=len(y)))
        values.append(y)
    if not values:
        return findings.nothing("no networks")
    y = np.mean(values, axis=0)
    ahead = y[_divisions(len(y), first)].sum(1)
    null = ahead / first - (y.sum() - ahead) / (len(y) - first)
    estimate = shifted(float(null[0]), null, len(y), findings.plural(options.unit))
    return findings.finding_of(estimate.exponential() if ratio else estimate, bound, shown)


def _divisions(points: int, first: int) -> NDArray[np.int64]:
    """Which of the points are in the first group: all choices or random ones, the first points first."""
    if comb(points, first) <= MOST:
        return np.array(list(combinations(range(points), first)))
    drawn = np.random.default_rng(0).permuted(np.tile(np.arange(points), (MOST - 1, 1)), axis=1)
    return np.concatenate([np.arange(first)[None], drawn[:, :first]])


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Networks that scatter about two levels, with the spread; half of it is the same in all panels."""
    ratio, worlds, networks = options.scale == "ratio", [], generator.normal(size=100)
    effect = np.log(truth.effect) if ratio else truth.effect
    for _, part in table.groupby("panel", sort=False):
        noise = np.sqrt(0.5) * (networks[: len(part)] + generator.normal(size=len(part)))
        y = effect * part.index.isin(findings.select(part, options.of).index) + truth.spread * noise
        worlds.append(part.assign(**{options.value: np.exp(y) if ratio else 70 + y}))
    return pd.concat(worlds)
