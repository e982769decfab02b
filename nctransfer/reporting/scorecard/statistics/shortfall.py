"""How far a place is from the best, such as the paper's tuned layer from the best layer to tune."""

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.estimates import Bound
from nctransfer.reporting.scorecard.findings import Finding, Part, nothing, numbers, over_panels, parts
from nctransfer.reporting.scorecard.settings import PlacesSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel
from nctransfer.settings import Share


class Options(PlacesSettings):
    """Quantity, and the place to compare with the best."""

    at: Share
    """Share of the depth; the nearest place is taken."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Mean over panels of the highest ``value`` less that at a share of the depth, by Student's t.

    The highest of several values with errors is higher than the best place, which is to the claim's
    disadvantage.
    """
    lost, shown = [], []
    for name, part in parts(table):
        points = numbers(part, (options.place, options.value, "depth"))
        if len(points) < 2:
            return nothing(f"{name}: {len(points)} places", len(points))
        row = points.iloc[(points[options.place] - options.at * points["depth"]).abs().argmin()]
        lost.append(float(points[options.value].max() - row[options.value]))
        note = f"{options.place} {row[options.place]:g} of {row['depth']:g}"
        shown.append(Part(name, lost[-1], points=len(points), note=note))
    return over_panels(lost, bound, shown)


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """The place is behind one other by the effect, with the spread over panels, and ahead of all the rest."""
    places = part[options.place].to_numpy(float)
    at = int(np.abs(places - options.at * part["depth"].to_numpy(float)).argmin())
    truths = np.full(len(part), 69.0)
    truths[at] = 70.0
    others = np.delete(np.arange(len(part)), at)
    truths[generator.choice(others)] = 70.0 + truth.effect + truth.spread * generator.normal()
    return part.assign(**{options.value: truths})
