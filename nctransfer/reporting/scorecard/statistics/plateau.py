"""Whether a rise levels off: the last step is at most a share of it, up or down."""

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound
from nctransfer.reporting.scorecard.settings import PointsSettings
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel
from nctransfer.settings import Share


class Options(PointsSettings):
    """Curve, and the share."""

    share: Share
    """Largest size of the last step, as a share of the whole rise."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """That share of the rise less, and plus, the last step: both must exceed the bound.

    A mean of shares would divide by rises that may be near zero.
    """
    margins, shown = [], []
    for name, part in findings.parts(table):
        curve = (
            findings.numbers(part, (options.x, options.y)).groupby(options.x)[options.y].mean().sort_index()
        )
        if len(curve) < 3:
            return findings.nothing(f"{name}: {len(curve)} places; it takes 3", len(curve))
        rise, step = float(curve.iloc[-1] - curve.iloc[0]), float(curve.iloc[-1] - curve.iloc[-2])
        margins.append((options.share * rise - step, options.share * rise + step))
        shown.append(
            findings.Part(name, min(margins[-1]), points=len(curve), note=f"{step:+.3g} of {rise:+.3g}")
        )
    return findings.weakest([findings.over_panels(side, bound, shown) for side in zip(*margins, strict=True)])


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """A rise by 4 whose last step stays below the limit by the effect; the spread is of single points."""
    places = pd.to_numeric(part[options.x], errors="coerce").rank(method="dense").to_numpy(int) - 1
    last = int(places.max())
    rise = np.full(last + 1, 4.0)
    rise[0], rise[-2] = 0.0, 4.0 - (options.share * 4.0 - truth.effect)
    y = 70 + rise[places] + truth.spread * generator.normal(size=len(part))
    return part.assign(**{options.y: y})
