"""Estimates with their uncertainty, and one-sided tests of them against a threshold.

A claim holds where the 95 % interval lies wholly on its side of the threshold: a one-sided test at 2.5 %. For
a claim of two bounds (an equivalence test, TOST) the interval must lie between them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from nctransfer.intervals import Numbers
from nctransfer.reporting.scorecard.settings import Direction

ALPHA = 0.025  # of a one-sided test
TINY = 1e-9  # values so close are equal: sums of the same numbers in another order


@dataclass(frozen=True)
class Estimate:
    """A value, its 95 % interval, and how improbable it is under a null hypothesis."""

    value: float
    low: float
    high: float
    above: Callable[[float], float]  # p of an estimate at least as high if the truth is this number or less
    below: Callable[[float], float]  # p of an estimate at least as low if the truth is this number or more
    points: int  # observations
    varies: str  # what varies, over which the interval is
    least: float = 0.0  # smallest p that so few observations can give

    def rescaled(self, into: Callable[[float], float], back: Callable[[float], float]) -> Self:
        """The same estimate on a monotonically growing scale ``into``, whose inverse is ``back``."""
        return replace(
            self, value=into(self.value), low=into(self.low), high=into(self.high),
            above=lambda null: self.above(back(null)), below=lambda null: self.below(back(null)),
        )  # fmt: skip

    def exponential(self) -> Self:
        """The same estimate of a ratio, from that of its logarithm."""
        return self.rescaled(lambda number: float(np.exp(number)), lambda number: float(np.log(number)))


def student(value: float, error: float, freedom: float, points: int, varies: str) -> Estimate:
    """An estimate with a standard error of so many degrees of freedom (infinite: normal).

    Equal observations (no error) do not show that nothing varies: then nothing is known.
    """
    if error == 0:
        nan = float("nan")
        return Estimate(value, nan, nan, lambda null: 1.0, lambda null: 1.0, points, varies, least=1.0)
    freedom = min(freedom, 1e9)  # as good as normal
    half = float(special.stdtrit(freedom, 1 - ALPHA)) * error
    return Estimate(
        value, value - half, value + half,
        above=lambda null: float(special.stdtr(freedom, (null - value) / error)),
        below=lambda null: float(special.stdtr(freedom, (value - null) / error)),
        points=points, varies=varies,
    )  # fmt: skip


def mean(values: ArrayLike, varies: str) -> Estimate:
    """The mean of values (n >= 2), by Student's t."""
    values = np.asarray(values, np.float64)
    n = len(values)
    return student(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)), n - 1, n, varies)


def certain(value: float, points: int, varies: str) -> Estimate:
    """A number without uncertainty, such as a count of parameters, or a difference of equal numbers."""
    return Estimate(
        value, value, value,
        above=lambda null: float(value <= null), below=lambda null: float(value >= null),
        points=points, varies=varies,
    )  # fmt: skip


def shifted(value: float, null: Numbers, points: int, varies: str) -> Estimate:
    """A statistic whose exact distribution about zero is known: by permutation, with the given order first.

    For any other truth the distribution is taken as shifted. The interval excludes zero exactly where the
    permutation test rejects it.
    """
    ordered = np.sort(null)
    n = len(ordered)
    spare = int(ALPHA * n)  # values that may lie beyond the interval on one side
    return Estimate(
        value, float(value - ordered[n - 1 - spare]), float(value - ordered[spare]),
        above=lambda truth: float(np.mean(null >= value - truth - TINY)),
        below=lambda truth: float(np.mean(null <= value - truth + TINY)),
        points=points, varies=varies, least=float(np.mean(null >= ordered[-1] - TINY)),
    )  # fmt: skip


def share(wins: int, trials: int, chance: float, varies: str) -> Estimate:
    """A share of independent trials, won with some chance: exact tests, Clopper and Pearson's interval."""
    low = special.betaincinv(wins, trials - wins + 1, ALPHA) if wins else 0.0
    high = special.betaincinv(wins + 1, trials - wins, 1 - ALPHA) if wins < trials else 1.0
    return Estimate(
        wins / trials, float(low), float(high),
        above=lambda null: float(special.bdtrc(wins - 1, trials, null)) if wins else 1.0,
        below=lambda null: float(special.bdtr(wins, trials, null)),
        points=trials, varies=varies, least=chance**trials,
    )  # fmt: skip


def correlation(shown: float, null: Numbers, points: int, varies: str) -> Estimate:
    """A mean correlation from Fisher's z of it under the null hypothesis, the given order first.

    ``shown`` is the mean of the correlations themselves, which readers see.
    """
    z = float(null[0])
    estimate = shifted(z, null, points, varies)
    return estimate.rescaled(
        lambda number: shown if number == z else float(np.tanh(number)),
        lambda number: float(np.arctanh(np.clip(number, -1 + 1e-12, 1 - 1e-12))),
    )


def sums(scores: Sequence[Numbers]) -> Numbers:
    """Sums of independent scores, the given ones first: of all combinations if they are few, else drawn."""
    total = scores[0]
    for score in scores[1:]:
        if len(total) * len(score) <= 50_000:
            total = (total[:, None] + score[None]).ravel()
        else:
            generator = np.random.default_rng(0)
            size = max(len(total), len(score))
            drawn = generator.choice(total, size - 1) + generator.choice(score, size - 1)
            total = np.concatenate([[total[0] + score[0]], drawn])
    return total


@dataclass(frozen=True)
class Bound:
    """What a claim says of its number: the side of a threshold, or between two."""

    direction: Direction
    threshold: float | tuple[float, float]

    @property
    def ends(self) -> tuple[float, float]:
        """The allowed range; an end may be infinite."""
        if isinstance(self.threshold, tuple):
            return self.threshold
        above = self.direction in ("above", "at_least")
        return (self.threshold, np.inf) if above else (-np.inf, self.threshold)

    def margin(self, value: float) -> float:
        """Distance of a value to the nearest end, positive within the range."""
        low, high = self.ends
        return float(min(value - low, high - value))

    def supported(self, estimate: Estimate) -> float:
        """P of the null hypothesis that the claim is wrong: the truth lies at an end, or beyond."""
        low, high = self.ends
        beyond = 0.0 if self._strict else TINY
        ps = [estimate.above(low - beyond)] if np.isfinite(low) else []
        return max(ps + ([estimate.below(high + beyond)] if np.isfinite(high) else []))

    def refuted(self, estimate: Estimate) -> float:
        """P of the null hypothesis that the claim is right."""
        low, high = self.ends
        within = TINY if self._strict else 0.0
        ps = [estimate.below(low + within)] if np.isfinite(low) else []
        return min(ps + ([estimate.above(high - within)] if np.isfinite(high) else []))

    @property
    def _strict(self) -> bool:
        """Whether a number that is certain and equal to the threshold is on the wrong side."""
        return self.direction in ("above", "below")
