"""Whether a quantity falls, or rises, along the units of networks: the mean increment."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from nctransfer.reporting.scorecard.estimates import Bound, mean
from nctransfer.reporting.scorecard.findings import Finding, Part, finding_of, nothing, select, weakest
from nctransfer.reporting.scorecard.settings import PlacesSettings, Selection
from nctransfer.reporting.scorecard.worlds import Random, Truth

FEWEST = 4  # units


class Options(PlacesSettings):
    """Quantity and places, and the networks."""

    of: Selection = Field(default_factory=dict)
    """Rows of the quantity."""
    minus: Selection | None = None
    """Rows whose quantity at the same place is subtracted; nothing is if this is missing."""
    not_at: Selection = Field(default_factory=dict)
    """Rows that do not count."""
    each: tuple[str, ...] = ("model",)
    """Columns of what must fall, such as networks and methods: its curves are averaged, and all must hold."""
    scale: Literal["difference", "ratio"] = "ratio"
    """Increments of the quantity, or of its logarithm (the effect is then the factor per unit)."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Mean increment of ``value`` from unit to unit, by Student's t over the units of a network.

    A rank correlation with depth would take a random walk, which always drifts somewhere, for a trend; the
    increments of one are independent and of mean zero. Of values that scatter about a constant they cancel,
    so that the test is the more careful.
    """
    table = table.drop(index=select(table, options.not_at).index) if options.not_at else table
    found, shown = [], []
    for _, of_network in table.groupby(list(options.each), sort=False):
        curves = _curves(of_network, options, options.of)
        if options.minus is not None:
            curves = (curves - _curves(of_network, options, options.minus)).dropna(how="all")
        if options.scale == "ratio":
            curves = curves.where(curves > 0).map(np.log)
        steps = curves.mean().diff().dropna().to_numpy()
        titles = dict(zip(of_network["panel"], of_network["title"], strict=True))
        network = " ".join(str(of_network[column].iloc[0]) for column in options.each)
        for panel, step in curves.diff(axis=1).mean(axis=1).items():
            value = float(np.exp(step)) if options.scale == "ratio" else float(step)
            shown.append(Part(f"{titles[panel]}, {network}", value, points=curves.shape[1]))
        if len(steps) < FEWEST - 1:
            return nothing(f"{curves.shape[1]} units; it takes {FEWEST}", curves.shape[1], shown)
        estimate = mean(steps, "units")
        if options.scale == "ratio":
            estimate = estimate.exponential()
        found.append(finding_of(estimate, bound, note=network))
    if not found:
        return nothing("no curves")
    return replace(weakest(found), parts=tuple(shown))


def _curves(part: pd.DataFrame, options: Options, rows: Selection) -> pd.DataFrame:
    """The quantity by curve and place, averaged over rows of one place."""
    chosen = select(part, rows)
    points = chosen.assign(place=pd.to_numeric(chosen[options.place], errors="coerce")).dropna(subset="place")
    means = points.groupby(["panel", "place"], sort=False)[options.value].mean()
    return means.unstack("place").sort_index(axis=1)


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Random walks whose mean increment is the effect; the curves of one network share theirs."""
    effect = np.log(truth.effect) if options.scale == "ratio" else truth.effect
    worlds = []
    for _, of_network in table.groupby(list(options.each), sort=False):
        places = np.sort(pd.to_numeric(of_network[options.place], errors="coerce").dropna().unique())
        walk = np.cumsum(effect + truth.spread * generator.normal(size=len(places)))
        walk = walk if options.minus is None else walk + 70
        by_place = dict(zip(places, walk, strict=True))
        values = pd.to_numeric(of_network[options.place], errors="coerce").map(by_place)
        if options.minus is not None:
            values = values.where(~of_network.index.isin(select(of_network, options.minus).index), 70.0)
        values = np.exp(values) if options.scale == "ratio" else values
        worlds.append(of_network.assign(**{options.value: values}))
    return pd.concat(worlds)
