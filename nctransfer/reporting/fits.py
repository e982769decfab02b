"""Straight-line fits and how far they can be trusted."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Line:
    """Least-squares line through n points, with r2 and its percentile bootstrap interval (95 %)."""

    slope: float
    intercept: float
    r2: float
    r2_low: float
    r2_high: float
    points: int

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Ordinates of the line."""
        return self.intercept + self.slope * x


def fit_line(x: np.ndarray, y: np.ndarray, seed: int, resamples: int = 5000) -> Line:
    """Fit y = intercept + slope x.

    The interval resamples points. Units of one network are not independent, so it
    understates the uncertainty; it is given with n all the same (shared caveat of
    Fig. 3 of the paper, whose r2 come without any).

    Args:
        x: abscissas, shape (n,).
        y: ordinates, shape (n,).
        seed: seed of the resampling.
        resamples: number of bootstrap resamples.

    Returns:
        the line; slope and r2 are NaN where x (or, for r2, y) is constant or n < 2.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n = len(x)
    rows = np.random.default_rng(seed).integers(0, max(n, 1), (resamples, n))
    slope, intercept, r2 = _least_squares(x[None], y[None])
    drawn = _least_squares(x[rows], y[rows])[2]
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    return Line(float(slope[0]), float(intercept[0]), float(r2[0]), float(low), float(high), n)


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, intercept and r2 for every row of x and y, shape (rows, n)."""
    dx, dy = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    sxx, syy, sxy = (dx * dx).sum(1), (dy * dy).sum(1), (dx * dy).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(sxx > 0, sxy / sxx, np.nan)
        r2 = np.where((sxx > 0) & (syy > 0), sxy * sxy / (sxx * syy), np.nan)
    return slope, y.mean(1) - slope * x.mean(1), r2
