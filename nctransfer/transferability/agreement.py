"""How well a score ranks: its agreement with measured accuracies, and how much of that is chance."""

from dataclasses import dataclass
from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nctransfer.errors import DegenerateInputError

Numbers = NDArray[np.float64]

ENUMERATED = 7
RANDOM_ORDERS = 10_000


@dataclass(frozen=True)
class Agreement:
    """Rank and linear correlations of n scores with accuracies, with percentile bootstrap intervals (95 %).

    Attributes:
        points: n.
        tau: weighted Kendall tau; the pairs among the best count most.
        tau_low, tau_high: its interval.
        tau_null_low, tau_null_high: what 95 % of all orders of n points lie between.
        spearman, spearman_low, spearman_high: of ranks.
        pearson, pearson_low, pearson_high: of values.
    """

    points: int
    tau: float
    tau_low: float
    tau_high: float
    tau_null_low: float
    tau_null_high: float
    spearman: float
    spearman_low: float
    spearman_high: float
    pearson: float
    pearson_low: float
    pearson_high: float


def weighted_tau(score: Numbers, accuracy: Numbers) -> float:
    """Weighted Kendall tau (Vigna 2015, hyperbolic weights, mean of both rankings), as scipy computes it.

    Higher scores must predict higher accuracies: tau(-s) is not -tau(s).

    Args:
        score: (n,).
        accuracy: (n,).

    Returns:
        the tau, NaN where one of the two is constant or n < 2.

    Raises:
        DegenerateInputError: a value is not finite; scipy would return some number all the same.
    """
    if not (np.isfinite(score).all() and np.isfinite(accuracy).all()):
        raise DegenerateInputError("scores and accuracies must be finite for a rank correlation")
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(accuracy) == 0:
        return float("nan")
    return float(stats.weightedtau(score, accuracy).statistic)


def agreement(score: Numbers, accuracy: Numbers, seed: int, resamples: int) -> Agreement:
    """Correlate scores with accuracies.

    Intervals resample points. At the n of model sets (5 to 15) they are rough; with fewer than
    three points there are none.

    Args:
        score: (n,), higher predicts better.
        accuracy: (n,).
        seed: of the resampling.
        resamples: how many.

    Raises:
        DegenerateInputError: a value is not finite.
    """
    score, accuracy = np.asarray(score, np.float64), np.asarray(accuracy, np.float64)
    n = len(score)
    rows = np.random.default_rng(seed).integers(0, max(n, 1), (resamples if n > 2 else 0, n))
    numbers: list[float] = []
    for coefficient in (weighted_tau, _spearman, _pearson):
        drawn = np.array([coefficient(score[row], accuracy[row]) for row in rows])
        numbers += [coefficient(score, accuracy), *interval(drawn)]
        if coefficient is weighted_tau:
            numbers += tau_null(n)
    return Agreement(n, *numbers)


@cache
def tau_null(points: int) -> tuple[float, float]:
    """The weighted taus that 2.5 % of all orders of n points stay below and 2.5 % exceed (NaN for n < 2).

    All orders where they are few (n up to 7), else 10,000 random ones, always the same.
    """
    if points < 2:
        return float("nan"), float("nan")
    order = np.arange(points, dtype=float)
    if points <= ENUMERATED:
        shuffles = np.array(list(permutations(order)))
    else:
        shuffles = np.random.default_rng(0).permuted(np.tile(order, (RANDOM_ORDERS, 1)), axis=1)
    low, high = np.percentile([weighted_tau(shuffle, order) for shuffle in shuffles], [2.5, 97.5])
    return float(low), float(high)


def interval(drawn: Numbers) -> tuple[float, float]:
    """Percentiles 2.5 and 97.5 of what resamples gave, those without a value left out."""
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def _spearman(score: Numbers, accuracy: Numbers) -> float:
    return _pearson(stats.rankdata(score), stats.rankdata(accuracy))


def _pearson(score: Numbers, accuracy: Numbers) -> float:
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(accuracy) == 0:
        return float("nan")
    return float(np.corrcoef(score, accuracy)[0, 1])
