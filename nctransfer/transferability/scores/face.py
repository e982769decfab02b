"""FaCe (Ding et al. 2023, arXiv 2310.05754), reconstructed.

There is no public code, and the paper does not define its fairness term completely.
"""

import math

import numpy as np
from numpy.typing import NDArray

from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.gaussian import bhattacharyya
from nctransfer.transferability.pool import min_max
from nctransfer.transferability.problem import Problem

TITLES = {"face": "FaCe (reconstructed)"}
TERMS = {"face_collapse": "variance collapse", "face_fairness": "class fairness"}


def terms(problem: Problem) -> dict[str, float]:
    """Variance collapse and class fairness.

    Collapse: -(1/K) tr(S_W S_B^+), with equal weights of all classes in both (NC1 gives samples equal
    weight). Fairness: for each class, how evenly it overlaps the others: the entropy of its Bhattacharyya
    coefficients, normalised to sum 1, over log(K - 1); the mean over the classes, in [0, 1]. Raises
    DegenerateInputError: fewer than three classes, or a class without variance.
    """
    if len(problem.counts) < 3:
        raise DegenerateInputError(
            f"{problem.name}: two classes, of which fairness says nothing; it needs three"
        )
    shares = (-bhattacharyya(problem)).log_softmax(1).fill_diagonal_(0.0)
    others = shares.exp().fill_diagonal_(0.0)
    entropy = -(others * shares).sum(1)
    return {
        "face_collapse": -_balanced_nc1(problem),
        "face_fairness": float(entropy.mean()) / math.log(len(problem.counts) - 1),
    }


def summands(terms: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """min-max(collapse) + min-max(fairness) over the pool."""
    return {"face": {name: min_max(terms[name]) for name in TERMS}}


def _balanced_nc1(problem: Problem) -> float:
    """(1/K) tr(S_W S_B^+), S_W the mean of the classes' covariances."""
    statistics, targets, axes = problem.statistics, problem.targets, problem.statistics.axes
    weights = 1 / problem.counts.double()
    total = 0.0
    for part, block in problem.blocks():
        squares = ((block - statistics.means[targets[part]]) @ axes).square().sum(1)
        total += float((squares * weights[targets[part]]).sum())
    return total / len(weights)
