"""How much stronger one quantity is related to another than a third is, part by part."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.reporting.fits import correlation
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
    coefficient = "spearman" if options.get("ranks") else "pearson"
    findings = []
    for name, part in parts(table):
        points = numbers(part, (x, other, y)).to_numpy()
        if np.array_equal(points[:, 0], points[:, 1]):
            continue
        effect = _gap(points, coefficient)
        if np.isnan(effect):
            findings.append(nothing(name, f"no correlation of {len(points)} points", len(points)))
            continue
        draw = np.random.default_rng(0).integers(0, len(points), (RESAMPLES, len(points)))
        gaps = np.array([_gap(points[rows], coefficient) for rows in draw])
        low, high = np.nanpercentile(gaps, [2.5, 97.5])
        findings.append(Finding(name, effect, float(low), float(high), len(points)))
    return findings


def _gap(points: np.ndarray, coefficient: str) -> float:
    x, other, y = points.T
    first, second = (getattr(correlation(column, y), coefficient) for column in (x, other))
    return float(abs(first) - abs(second))
