"""Where in the depth of a network a quantity is lowest: more often in the claimed range than by chance."""

from functools import cache

import numpy as np
import pandas as pd
from scipy import special

from nctransfer.reporting.scorecard.estimates import Bound, share
from nctransfer.reporting.scorecard.findings import Finding, Part, finding_of, nothing, numbers, plural
from nctransfer.reporting.scorecard.settings import PlacesSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth
from nctransfer.settings import Share


class Options(PlacesSettings):
    """Quantity, places and parts."""

    cluster: tuple[str, ...]
    """Columns that make an independent part; its curves are averaged (of logarithms)."""
    beyond: Share
    """The claimed range: from this share of the depth on."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Share of the parts in which the lowest ``value`` lies in the claimed range.

    By chance it does so with the probability that a random walk has its minimum there (Sparre Andersen), or,
    if that is higher, a random unit: this probability is subtracted, so that the number is 0 by chance.
    """
    shown, chances, inside = [], [], []
    for _, part in table.groupby(list(options.cluster), sort=False):
        points = numbers(part, (options.place, options.value))
        curve = np.log(points.groupby(options.place)[options.value].mean()).sort_index()
        if len(curve) < 2:
            return nothing(f"{len(curve)} places", len(curve))
        claimed = curve.index.to_numpy() >= options.beyond * curve.index.max() - 1e-9
        chances.append(max(claimed.mean(), float(_walk_minimum(len(curve))[claimed].sum())))
        lowest = curve.index[int(curve.argmin())]
        inside.append(bool(claimed[int(curve.argmin())]))
        name = ", ".join(str(part[column].iloc[0]) for column in options.cluster)
        note = f"{options.place} {lowest:g} of {curve.index.max():g}"
        shown.append(Part(name, float(lowest / curve.index.max()), points=len(curve), note=note))
    wins, chance = sum(inside), max(chances)
    estimate = share(wins, len(inside), chance, plural(options.cluster))
    estimate = estimate.rescaled(lambda number: number - chance, lambda number: number + chance)
    return finding_of(estimate, bound, shown, f"{wins} of {len(inside)} in the range, {chance:.2f} by chance")


@cache
def _walk_minimum(places: int) -> np.ndarray:
    """Probability of each place to be the minimum of a symmetric random walk over so many places."""
    steps = np.arange(places)
    ratio = special.binom(2 * steps, steps) / 4.0**steps
    chances: np.ndarray = ratio * ratio[::-1]
    return chances


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Random walks; with an effect, minima in the range are that much more probable."""
    worlds = []
    for _, part in table.groupby(list(options.cluster), sort=False):
        places = np.sort(pd.to_numeric(part[options.place], errors="coerce").dropna().unique())
        walk = np.cumsum(generator.normal(size=len(places)))
        if truth.effect != 0:
            claimed = places >= options.beyond * places.max() - 1e-9
            wanted = claimed if generator.random() < claimed.mean() + truth.effect else ~claimed
            walk[generator.choice(np.flatnonzero(wanted))] = walk.min() - 1
        by_place = dict(zip(places, np.exp(walk), strict=True))
        values = pd.to_numeric(part[options.place], errors="coerce").map(by_place)
        worlds.append(part.assign(**{options.value: values}))
    return pd.concat(worlds)
