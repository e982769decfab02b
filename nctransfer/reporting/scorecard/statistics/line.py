"""The least-squares line through the points of a panel."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.reporting.fits import fit_line
from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PointsSettings


class Options(PointsSettings):
    """Points of the line, and its number to report."""

    of: Literal["slope", "r2"]
    """Number to report."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Slope, or r2, of the line of ``y`` on ``x`` in every panel.

    The slope's interval is Student's, that of r2 resamples points; units of one network are not independent,
    so both understate the uncertainty.
    """
    for name, part in parts(table):
        points = numbers(part, (options.x, options.y))
        x, y = points.to_numpy().T
        line = fit_line(x, y, seed=0)
        effect = line.slope if options.of == "slope" else line.r2
        if np.isnan(effect):
            yield nothing(name, f"no line through {len(points)} points", len(points))
        elif options.of == "r2":
            yield Finding(name, effect, line.r2_low, line.r2_high, len(points))
        else:
            half = np.nan
            if len(points) > 2:
                half = float(stats.t.ppf(0.975, len(points) - 2) * stats.linregress(x, y).stderr)
            yield Finding(name, effect, effect - half, effect + half, len(points))
