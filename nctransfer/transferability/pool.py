"""Scores that a model has among others alone: terms on a common scale over a pool of models."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nctransfer.errors import DegenerateInputError


def min_max(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (M,) moved and scaled to [0, 1]; all 0 where they are all the same.

    Adding a model to the pool can move all others.

    Raises:
        DegenerateInputError: a pool of one.
    """
    if len(values) < 2:
        raise DegenerateInputError("a pool of one: its terms cannot be put on a common scale")
    low, high = values.min(), values.max()
    return np.zeros_like(values) if high == low else (values - low) / (high - low)


def scaled_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of values (M,) in [0, 1], 1 for the highest; equal values share their mean.

    Raises:
        DegenerateInputError: a pool of one.
    """
    return min_max(stats.rankdata(values))
