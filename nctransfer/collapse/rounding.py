"""What rounding makes of zero: the level below which a variance or a length is none.

Two errors add up. Rows were rounded to their own dtype, each number by up to half a unit in the last place,
so that a direction without variance (rows that sum to 1, a column that is a sum of others) varies a little.
And float64 sums over N rows, and eigenvalues of d columns, have an error of their own.
"""

import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps
ARITHMETIC = 64 * EPS
"""Relative error of a float64 sum."""


def relative_rounding(dtype: torch.dtype) -> float:
    """Largest relative error of a number of this dtype: half a unit in the last place."""
    return torch.finfo(dtype).eps / 2


def eigenvalue_rounding(rows: int, width: int) -> float:
    """Error of eigenvalues of a float64 second moment of (N, d) rows, relative to the largest."""
    return max(ARITHMETIC, max(rows, width) * EPS)


def rounding_along(vectors: Tensor, squares: Tensor, rows: int, relative: float) -> Tensor:
    """Largest variance (r,) that errors of the numbers of N rows cause along unit directions (d, r).

    ``squares`` (d,) are the mean squares of the columns, ``relative`` is the relative error of their numbers.
    Independent errors have a largest eigenvalue (1 + sqrt(d / N))^2 times their variance (Marchenko-Pastur).
    """
    edge = (1 + (len(vectors) / rows) ** 0.5) ** 2
    return edge * relative**2 * (squares @ vectors.square())
