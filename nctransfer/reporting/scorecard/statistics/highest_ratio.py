"""Whether a quantity is lower under one method than under another at every unit from the tuned one on."""

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.estimates import Bound, mean
from nctransfer.reporting.scorecard.findings import Finding, Part, finding_of, nothing, plural, select
from nctransfer.reporting.scorecard.settings import DifferenceSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth

FEWEST = 2  # parts


class Options(DifferenceSettings):
    """Methods to compare, and places."""

    place: str
    """Column of the places."""
    begin: str
    """Column of the first place that counts, such as the tuned unit: what precedes it is the same network."""
    cluster: tuple[str, ...]
    """Columns that make an independent part; its panels are averaged."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """The highest ratio over the places, its mean over parts (of logarithms, Student's t).

    The highest of several ratios with errors is above the true one, which is to the claim's disadvantage.
    """
    logs: list[float] = []
    clusters: list[str] = []
    shown: list[Part] = []
    curves = [
        rows.assign(place=pd.to_numeric(rows[options.place], errors="coerce"))
        .groupby(["panel", "place"], sort=False)[options.value]
        .mean()
        for rows in (select(table, options.of), select(table, options.minus))
    ]
    ratios = (curves[0] / curves[1]).dropna()
    for panel, part in table.groupby("panel", sort=False):
        name, begin = str(part["title"].iloc[0]), min(map(float, str(part[options.begin].iloc[0]).split()))
        ratio = ratios[panel] if panel in ratios.index else pd.Series(dtype=float)
        ratio = ratio[ratio.index >= begin]
        if ratio.empty or not (ratio > 0).all():
            return nothing(f"{name}: no common places", parts=shown)
        logs.append(float(np.log(ratio.max())))
        clusters.append(" ".join(str(part[column].iloc[0]) for column in options.cluster))
        note = f"at {options.place} {ratio.idxmax():g}"
        shown.append(Part(name, float(ratio.max()), points=len(ratio), note=note))
    values = pd.Series(logs).groupby(clusters).mean().to_numpy()
    varies = plural(options.cluster)
    if len(values) < FEWEST:
        return nothing(f"{len(values)} {varies}; it takes {FEWEST}", len(values), shown)
    estimate = mean(values, varies).exponential()
    return finding_of(estimate, bound, shown)


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """The one method's curve is the other's times the effect, with the spread between data sets."""
    worlds = []
    for _, cluster in table.groupby(list(options.cluster), sort=False):
        factor = truth.effect * np.exp(truth.spread * generator.normal())
        ones = cluster.index.isin(select(cluster, options.of).index)
        worlds.append(cluster.assign(**{options.value: np.where(ones, factor, 1.0)}))
    return pd.concat(worlds)
