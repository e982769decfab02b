"""Scores that are defined only among other models: terms on a common scale over a pool of models."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nctransfer.collapse.rounding import ARITHMETIC
from nctransfer.errors import DegenerateInputError


def min_max(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (M,) moved and scaled to [0, 1]; all 0 where they are equal up to the rounding of sums.

    DegenerateInputError for M = 1. Adding a model to the pool can change the values of all others.
    """
    if len(values) < 2:
        raise DegenerateInputError("a pool of one: its terms cannot be put on a common scale")
    low, high = values.min(), values.max()
    equal = high - low <= ARITHMETIC * max(abs(low), abs(high))
    return np.zeros_like(values) if equal else (values - low) / (high - low)


def scaled_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of values (M,), scaled to [0, 1]; ties share their mean. DegenerateInputError for M = 1."""
    return min_max(stats.rankdata(min_max(values)))
