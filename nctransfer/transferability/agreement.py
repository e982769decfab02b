"""Agreement of a score with measured accuracies, and its uncertainty."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from nctransfer import intervals
from nctransfer.errors import DegenerateInputError
from nctransfer.intervals import Numbers


@dataclass(frozen=True)
class Agreement:
    """Rank and linear correlations of n scores with accuracies, with 95 % intervals."""

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


def agreement(score: Numbers, accuracy: Numbers) -> Agreement:
    """Correlate scores with accuracies, both (n,); higher scores predict higher accuracies.

    Intervals are those of :mod:`nctransfer.intervals`; a bootstrap is too narrow for the n of model sets
    (5 to 15). DegenerateInputError where a value is not finite.
    """
    score, accuracy = np.asarray(score, np.float64), np.asarray(accuracy, np.float64)
    n, tau = len(score), weighted_tau(score, accuracy)
    pearson = _pearson(score, accuracy)
    spearman = _pearson(stats.rankdata(score), stats.rankdata(accuracy))
    return Agreement(
        n, tau, *intervals.weighted_tau_interval(tau, n), *tau_null(n),
        spearman, *intervals.spearman_interval(spearman, n),
        pearson, *intervals.pearson_interval(pearson, n),
    )  # fmt: skip


@cache
def tau_null(points: int) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of the weighted tau over orders of n points (NaN for n < 2)."""
    if points < 2:
        return intervals.NONE
    _, taus = intervals.rank_correlations(intervals.orders(points)[:, ::-1])
    low, high = np.percentile(taus, [2.5, 97.5])
    return float(low), float(high)


def _pearson(score: Numbers, accuracy: Numbers) -> float:
    if len(score) < 2 or np.ptp(score) == 0 or np.ptp(accuracy) == 0:
        return float("nan")
    return float(np.corrcoef(score, accuracy)[0, 1])
