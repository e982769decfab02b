"""Intervals (95 %, two-sided) of accuracies, means, correlations and rank agreements.

Their simulated coverage stands in docs/statistics.md (`make scorecard-calibration`). All are NaN where there
are too few observations.
"""

from functools import cache
from itertools import permutations
from math import factorial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Numbers = NDArray[np.float64]
Interval = tuple[float, float]

LEVEL = 0.95
NONE: Interval = (float("nan"), float("nan"))
ENUMERATED = 7  # n! orders of at most so many points are enumerated
RANDOM_ORDERS = 2000


def accuracy_interval(accuracy: ArrayLike, samples: ArrayLike) -> tuple[Numbers, Numbers]:
    """Wilson's interval of accuracies (percent) on so many images each."""
    share, n = np.asarray(accuracy, np.float64) / 100, np.asarray(samples, np.float64)
    z = stats.norm.ppf(0.5 + LEVEL / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # rounding must not put an end on the wrong side of the share
    return 100 * np.clip(centre - half, 0, share), 100 * np.clip(centre + half, share, 1)


def with_intervals(table: pd.DataFrame, accuracy: str = "accuracy", samples: str = "samples") -> pd.DataFrame:
    """Add <accuracy>_low and <accuracy>_high, over so many test images, to a table of accuracies."""
    low, high = accuracy_interval(table[accuracy].to_numpy(float), table[samples].to_numpy(float))
    return table.assign(**{f"{accuracy}_low": low, f"{accuracy}_high": high})


def mean_interval(values: Numbers) -> Interval:
    """Student's interval of a mean; NaN for fewer than two values."""
    if len(values) < 2:
        return NONE
    mean = float(np.mean(values))
    reach = float(stats.sem(values) * stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1))
    return mean - reach, mean + reach


def pearson_interval(r: float, points: int) -> Interval:
    """Fisher's interval of a correlation: normal in artanh r with standard deviation 1 / sqrt(n - 3).

    It assumes that both quantities are normal. All of [-1, 1] for three points, NaN for fewer. A percentile
    bootstrap is too narrow for the n of model sets: most resamples of few points lie close to some line.
    """
    if not np.isfinite(r) or points < 3:
        return NONE
    if points == 3:
        return -1.0, 1.0
    half = stats.norm.ppf(0.5 + LEVEL / 2) / np.sqrt(points - 3)
    with np.errstate(divide="ignore"):
        centre = np.arctanh(np.clip(r, -1, 1))
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))


def r2_interval(r: float, points: int) -> Interval:
    """Interval of r2, by squaring that of r; it starts at 0 where that contains 0."""
    low, high = pearson_interval(r, points)
    if np.isnan(low):
        return NONE
    ends = low * low, high * high
    return (0.0 if low <= 0 <= high else min(ends)), max(ends)


def next_order(points: int) -> float:
    """Spearman's rho of the orders of n points that are next to the perfect one."""
    return 1 - 12 / (points * (points**2 - 1))


def spearman_interval(rho: float, points: int) -> Interval:
    """Interval of Spearman's rho of two normals of which so few points are known; NaN for fewer than four.

    All correlations of two normals that the observed rho does not refute: normal approximations cover too
    rarely near a perfect order. Ranks depend on the joint distribution only up to monotone transforms.
    """
    return _not_refuted(rho, points, "spearman")


def weighted_tau_interval(tau: float, points: int) -> Interval:
    """As :func:`spearman_interval` for the expected weighted Kendall tau of n points of two normals."""
    return _not_refuted(tau, points, "weighted_tau")


def _not_refuted(found: float, points: int, coefficient: str) -> Interval:
    if not np.isfinite(found) or points < 4:
        return NONE
    truths, lows, highs = _sampled(points)[coefficient]
    tail = 1e-9  # a value that is as extreme as the quantile does not refute it
    kept = truths[(lows <= found + tail) & (found - tail <= highs)]
    if not len(kept):  # a perfect order of many points
        return (float(truths[-1]), 1.0) if found > 0 else (-1.0, float(truths[0]))
    # beyond the last simulated correlation nothing refutes a perfect order
    low = -1.0 if found + tail < lows[0] or kept[0] == truths[0] else kept[0]
    high = 1.0 if found - tail > highs[-1] or kept[-1] == truths[-1] else kept[-1]
    return float(low), float(high)


@cache
def _sampled(points: int) -> dict[str, tuple[Numbers, Numbers, Numbers]]:
    """Over correlations of two normals: each coefficient, and its quantiles 2.5 and 97.5 % at n points."""
    few = points <= 30
    generator = np.random.default_rng(points)
    x, other = generator.normal(size=(2, 4000 if few else max(400, 30_000 // points), points))
    falling = (-x).argsort(1)
    x, other = (np.take_along_axis(values, falling, 1) for values in (x, other))
    correlations = np.tanh(np.linspace(-4, 4, 161 if few else 81))
    quantiles = np.empty((2, len(correlations), 2))
    expected_taus = np.empty(len(correlations))
    for place, correlation in enumerate(correlations):
        rho, tau = rank_correlations(correlation * x + np.sqrt(1 - correlation**2) * other)
        expected_taus[place] = tau.mean()
        quantiles[:, place] = np.quantile([rho, tau], [0.5 - LEVEL / 2, 0.5 + LEVEL / 2], axis=1).T
    spearman, weighted_tau = (tuple(ends.T) for ends in quantiles)
    population = 6 / np.pi * np.arcsin(correlations / 2)
    return {"spearman": (population, *spearman), "weighted_tau": (expected_taus, *weighted_tau)}


def rank_correlations(values: NDArray[np.number]) -> tuple[Numbers, Numbers]:
    """Spearman's rho and weighted Kendall tau of every row, (rows, n), with numbers that fall along the row.

    The tau has hyperbolic weights and is the mean over both rankings, as scipy's ``weightedtau``. No ties.
    """
    rows, n = values.shape
    smallest = np.min_scalar_type(n)  # comparing short numbers takes a fraction of the time
    order = (-values).argsort(1).astype(smallest)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(n, dtype=smallest)[None], 1)
    rho: Numbers = 1 - 6 * ((ranks - np.arange(n)) ** 2).sum(1) / (n * (n**2 - 1))
    weights = 1 / np.arange(1, n + 1)

    def weighted_tau(ranks: NDArray[np.unsignedinteger]) -> Numbers:
        columns = ranks.T.copy()
        concordant, total = np.zeros(rows), 0.0
        for rank in range(n - 1):
            pairs = weights[rank] + weights[rank + 1 :]
            concordant += pairs @ (columns[rank] < columns[rank + 1 :])
            total += pairs.sum()
        return 2 * concordant / total - 1

    return rho, (weighted_tau(ranks) + weighted_tau(order)) / 2


@cache
def orders(points: int) -> NDArray[np.int64]:
    """Orders of n points, (orders, n), the given one first: all of them for n up to 7, else random ones."""
    if points <= ENUMERATED:
        return np.array(list(permutations(range(points))), dtype=np.int64).reshape(factorial(points), points)
    first = np.arange(points)
    drawn = np.random.default_rng(0).permuted(np.tile(first, (RANDOM_ORDERS - 1, 1)), axis=1)
    return np.concatenate([first[None], drawn])
