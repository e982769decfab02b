"""How much a quantity differs over all places but the first and the last."""

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.estimates import Bound
from nctransfer.reporting.scorecard.findings import Finding, Part, nothing, numbers, over_panels, parts
from nctransfer.reporting.scorecard.settings import PlacesSettings as Options
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Mean over panels of the range of ``value`` over the inner places, by Student's t.

    Errors widen a range, which is to the disadvantage of a claim that it is small.
    """
    ranges, shown = [], []
    for name, part in parts(table):
        ordered = numbers(part, (options.place, options.value)).sort_values(options.place)
        inner = ordered[options.value].iloc[1:-1]
        if len(inner) < 2:
            return nothing(f"{name}: {len(inner)} inner places", len(inner))
        ranges.append(float(np.ptp(inner)))
        shown.append(Part(name, ranges[-1], points=len(inner)))
    return over_panels(ranges, bound, shown)


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Two values apart by the effect, with the spread over panels."""
    apart = max(truth.effect + truth.spread * generator.normal(), 0.0)
    return part.assign(**{options.value: 70 + apart * (np.arange(len(part)) % 2)})
