"""Whether a quantity is lower over the deeper half of the units than over the shallower one."""

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.estimates import Bound, mean
from nctransfer.reporting.scorecard.findings import FEW, Finding, Part, finding_of, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PlacesSettings as Options
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Ratio of a positive ``value`` over the deeper places to that over the others, its mean over panels."""
    ratios, shown = [], []
    for name, part in parts(table):
        points = numbers(part, (options.place, options.value)).sort_values(options.place)
        deep = points[options.place] > points[options.place].max() / 2
        logs = np.log(points[options.value])
        ratios.append(float(logs[deep].mean() - logs[~deep].mean()))
        shown.append(Part(name, float(np.exp(ratios[-1])), points=len(points)))
    if len(ratios) < FEW or np.isnan(ratios).any():
        return nothing(f"{len(ratios)} panels; it takes {FEW}", len(ratios), shown)
    return finding_of(mean(ratios, "panels").exponential(), bound, shown)


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Logarithms that scatter about two levels, one of each half."""
    places = pd.to_numeric(part[options.place], errors="coerce")
    deeper = np.log(truth.effect) * (places > places.max() / 2)
    logs = deeper + truth.spread * generator.normal(size=len(part))
    return part.assign(**{options.value: np.exp(logs)})
