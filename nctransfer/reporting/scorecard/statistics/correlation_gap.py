"""How much more strongly one quantity is correlated with another than a third is, part by part."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.reporting.fits import least_squares
from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PointsSettings

RESAMPLES = 2000


class Options(PointsSettings):
    """Two columns to compare by their correlation with a third."""

    other: str
    """Column that is compared with `x`."""
    ranks: bool = False
    """Use Spearman's rho instead of Pearson's r."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Size of the correlation of x with y, minus that of other with y, over the rows of every panel.

    Both share y, so their difference has no closed-form interval: points are resampled with all their columns
    (percentile bootstrap, 95 %). The interval is too narrow for few points, like that of r itself.
    """
    columns = [options.x, options.other, options.y]
    for name, part in parts(table):
        points = numbers(part, columns).to_numpy()
        if np.array_equal(points[:, 0], points[:, 1]):
            continue
        draw = np.random.default_rng(0).integers(0, len(points), (RESAMPLES, len(points)))
        effect, *gaps = _gaps(np.concatenate([points[None], points[draw]]), options.ranks)
        if len(points) < 3 or np.isnan(effect):  # any two points lie on a line
            yield nothing(name, f"no correlation of {len(points)} points", len(points))
            continue
        low, high = np.nanpercentile(gaps, [2.5, 97.5])
        yield Finding(name, float(effect), float(low), float(high), len(points))


def _gaps(samples: np.ndarray, ranks: bool) -> np.ndarray:
    """For every sample (samples, n, 3: x, other, y) the size of r(x, y) minus that of r(other, y)."""
    # relative to the first point, so that a constant column is exactly constant
    values = stats.rankdata(samples, axis=1) if ranks else samples - samples[:, :1]
    x, other, y = np.moveaxis(values, 2, 0)
    first, second = (np.sqrt(least_squares(column, y)[2]) for column in (x, other))
    gaps: np.ndarray = first - second
    return gaps
