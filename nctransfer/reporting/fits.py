"""Least-squares lines and parabolas and correlations, with their uncertainty."""

from collections.abc import Callable

import numpy as np
from scipy import stats

from nctransfer.intervals import pearson_interval, r2_interval

# columns with a correlation
CORRELATION = ("pearson", "pearson_low", "pearson_high", "spearman")
# transforms of NC1 for fits
FITS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"nc1": np.asarray, "log_nc1": np.log10}


def fit_line(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Fit y = intercept + slope x.

    The interval of r2 is that of r squared (:func:`~nctransfer.intervals.r2_interval`). Units of one network
    are not independent, so it understates the uncertainty; it is reported with n all the same (the paper's
    Fig. 3 gives r2 without any). x and y have shape (n,).

    Returns:
        slope, intercept, and r2 with its 95 % interval r2_low to r2_high; slope and r2 are NaN if x (or, for
        r2, y) is constant or n < 2.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    dx, dy = x - x.mean(), y - y.mean()
    sxx, syy, sxy = (float(product.sum()) for product in (dx * dx, dy * dy, dx * dy))
    slope = sxy / sxx if sxx > 0 else np.nan
    r2 = sxy * sxy / (sxx * syy) if sxx > 0 and syy > 0 else np.nan
    low, high = r2_interval(np.sqrt(r2), len(x))
    intercept = float(y.mean() - slope * x.mean())
    return {"slope": slope, "intercept": intercept, "r2": r2, "r2_low": low, "r2_high": high}


def fit_parabola(x: np.ndarray, y: np.ndarray, seed: int, resamples: int = 5000) -> dict[str, float | bool]:
    """Fit y = constant + slope x + curvature x^2.

    The interval of the turning point resamples points. Resamples with curvature of the other sign have no
    such turning point: they are not part of the interval, and the share of the others is reported with it.
    For data on a straight line it is about one half. x and y have shape (n,).

    Returns:
        constant, slope and curvature; r2; turn, the turning point -slope / (2 curvature), with its percentile
        interval (95 %) turn_low to turn_high from the resamples whose curvature has the same sign; turn_share
        (of the resamples, that have the same kind of turning point within the range of the data); maximum
        (whether it is one), inside (whether it lies within the range of the data, not extrapolated). All
        numbers are NaN with fewer than three different x, r2 and turn if y is constant, the interval with
        fewer than four points (a parabola passes through any three).
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n = len(x)
    (constant, slope, curvature), r2, turn = (value[..., 0] for value in _parabolas(x[None], y[None]))
    low, high, share = np.nan, np.nan, np.nan
    if n > 3 and np.isfinite(turn):
        rows = np.random.default_rng(seed).integers(0, n, (resamples, n))
        (_, _, bends), _, drawn = _parabolas(x[rows], y[rows])
        bent = np.isfinite(drawn)  # resamples with at least three different points
        alike = drawn[bent & (np.sign(bends) == np.sign(curvature))]
        if len(alike):
            low, high = np.percentile(alike, [2.5, 97.5])
            share = ((alike >= x.min()) & (alike <= x.max())).sum() / bent.sum()
    inside = bool(np.isfinite(turn) and x.min() <= turn <= x.max())
    numbers = {
        "constant": constant, "slope": slope, "curvature": curvature, "r2": r2, "turn": turn, "turn_low": low,
        "turn_high": high, "turn_share": share,
    }  # fmt: skip
    found = {name: float(value) for name, value in numbers.items()}
    return found | {"maximum": bool(curvature < 0), "inside": inside}


def _parabolas(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients (3, rows), r2 and turning point (rows,) for every row of x and y, shape (rows, n).

    x^2 is orthogonalised against 1 and x first, so that only two different x give a remainder of 0.
    """
    centre = x.mean(1, keepdims=True)
    dx, dy = x - centre, y - y.mean(1, keepdims=True)
    square = dx * dx
    sxx, syy = square.sum(1), (dy * dy).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        lean = np.where(sxx > 0, (square * dx).sum(1) / sxx, np.nan)
        remainder = square - square.mean(1, keepdims=True) - lean[:, None] * dx
        size = (remainder * remainder).sum(1)
        bends = size > 1e-20 * (square * square).sum(1)  # three different x
        curvature = np.where(bends, (remainder * dy).sum(1) / size, np.nan)
        tilt = (dx * dy).sum(1) / sxx
        varies = syy > 0
        r2 = np.where(varies, (tilt * tilt * sxx + curvature * curvature * size) / syy, np.nan)
        middle = centre[:, 0]
        at_centre = tilt - curvature * lean  # derivative at the centre
        turn = np.where(varies, middle - at_centre / (2 * curvature), np.nan)
    slope = at_centre - 2 * curvature * middle
    value = y.mean(1) - curvature * square.mean(1)
    constant = value - at_centre * middle + curvature * middle * middle
    return np.stack([constant, slope, curvature]), r2, turn


def crossing(places: np.ndarray, lead: np.ndarray) -> float:
    """The place from which on a lead stays at or below zero, interpolated linearly in the places' logarithm.

    Both have shape (n,); the first place if there is no lead, NaN if it is not lost or n is 0.
    """
    ahead = np.flatnonzero(lead > 0)
    if not len(places) or lead[-1] > 0:
        return float("nan")
    if not len(ahead):
        return float(places[0])
    (n0, n1), (lead0, lead1) = places[ahead[-1] : ahead[-1] + 2], lead[ahead[-1] : ahead[-1] + 2]
    return float(n0 * (n1 / n0) ** (lead0 / (lead0 - lead1)))


def correlation(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Pearson's r with Fisher's interval (95 %) and Spearman's rho (:data:`CORRELATION`) of x with y, (n,).

    All are NaN if one is constant, or n < 3.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(x) < 3 or _constant(x) or _constant(y):
        return dict.fromkeys(CORRELATION, np.nan)
    pearson, rank = float(stats.pearsonr(x, y).statistic), float(stats.spearmanr(x, y).statistic)
    return dict(zip(CORRELATION, (pearson, *pearson_interval(pearson, len(x)), rank), strict=True))


def _constant(values: np.ndarray) -> bool:
    """Whether values are equal up to rounding."""
    return bool(np.ptp(values) <= 1e-12 * np.abs(values).max())
