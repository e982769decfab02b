"""Agreement of a score with measured accuracies, and its uncertainty."""

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
    """Rank and linear correlations of n scores with accuracies, with 95 % percentile bootstrap intervals."""

    points: int  # n
    tau: float  # weighted Kendall tau; pairs among the best have the largest weight
    tau_low: float
    tau_high: float
    tau_null_low: float  # 95 % of all orders of n points have a tau from here to tau_null_high
    tau_null_high: float
    spearman: float  # correlation of ranks
    spearman_low: float
    spearman_high: float
    pearson: float  # correlation of values
    pearson_low: float
    pearson_high: float


def weighted_tau(score: Numbers, accuracy: Numbers) -> float:
    """Weighted Kendall tau (Vigna 2015, hyperbolic weights, mean of both rankings), as computed by scipy.

    Higher scores must predict higher accuracies: tau(-s) is not -tau(s). Scores and accuracies are (n,); NaN
    where one of them is constant or n < 2. Raises DegenerateInputError: a value is not finite, for which
    scipy would return some number.
    """
    if not (np.isfinite(score).all() and np.isfinite(accuracy).all()):
        raise DegenerateInputError("scores and accuracies must be finite for a rank correlation")
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(accuracy) == 0:
        return float("nan")
    return float(stats.weightedtau(score, accuracy).statistic)


def agreement(score: Numbers, accuracy: Numbers, seed: int, resamples: int) -> Agreement:
    """Correlate scores with accuracies, both (n,); higher scores predict higher accuracies.

    Intervals are over resampled points. For the n of model sets (5 to 15) they are rough; with fewer than
    three points there are none. DegenerateInputError where a value is not finite.
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
    """The 2.5 % and 97.5 % quantiles of the weighted tau over all orders of n points (NaN for n < 2).

    All orders are enumerated for n up to 7, else 10,000 random ones are drawn, always the same.
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


def interval(resampled: Numbers) -> tuple[float, float]:
    """Percentiles 2.5 and 97.5 of the results of resamples, without those that are not finite."""
    finite = resampled[np.isfinite(resampled)]
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
