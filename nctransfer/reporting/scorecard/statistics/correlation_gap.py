"""How much stronger one quantity is related to another than a third is, part by part."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.reporting.fits import least_squares
from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts

RESAMPLES = 2000


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Size of the correlation of x with y, less that of other with y, over the rows of every panel.

    The two share y, so their difference has no closed interval: points are resampled with all their columns
    (percentile bootstrap, 95 %). It is too narrow for few points, as that of r itself.

    Args:
        table: numbers of a figure, with the columns of ``against`` beside it as ``<column>_against``.
        options: x, other, y (columns); ranks (Spearman's rho). Panels whose x and other are one are left
            out.
    """
    x, other, y = options["x"], options["other"], options["y"]
    findings = []
    for name, part in parts(table):
        points = numbers(part, (x, other, y)).to_numpy()
        if np.array_equal(points[:, 0], points[:, 1]):
            continue
        draw = np.random.default_rng(0).integers(0, len(points), (RESAMPLES, len(points)))
        effect, *gaps = _gaps(np.concatenate([points[None], points[draw]]), bool(options.get("ranks")))
        if len(points) < 3 or np.isnan(effect):  # a line passes through any two
            findings.append(nothing(name, f"no correlation of {len(points)} points", len(points)))
            continue
        low, high = np.nanpercentile(gaps, [2.5, 97.5])
        findings.append(Finding(name, float(effect), float(low), float(high), len(points)))
    return findings


def _gaps(samples: np.ndarray, ranks: bool) -> np.ndarray:
    """Of every sample (samples, n, 3: x, other, y) the size of r(x, y) less that of r(other, y)."""
    # from the first point, so that a constant is exactly one
    values = stats.rankdata(samples, axis=1) if ranks else samples - samples[:, :1]
    x, other, y = np.moveaxis(values, 2, 0)
    first, second = (np.sqrt(least_squares(column, y)[2]) for column in (x, other))
    gaps: np.ndarray = first - second
    return gaps
