"""ETran (Gholami et al. 2023, ICCV): energy and discriminant terms, as in the published code."""

import numpy as np
import torch
from numpy.typing import NDArray

from nctransfer.transferability.gaussian import log_posteriors
from nctransfer.transferability.pool import min_max
from nctransfer.transferability.problem import Problem

TITLES = {"etran": "ETran"}

LOWEST = 0.005  # share of the samples whose energy counts
TERMS = {"etran_energy": "energy", "etran_lda": "LDA"}
WEIGHTS = {"etran_energy": 0.15, "etran_lda": 0.85}


def terms(problem: Problem) -> dict[str, float]:
    """Mean of the lowest 0.5 % of energies logsumexp(h), at least one; mean posterior of the true class.

    The published code passes a matrix that is not symmetric to a solver for symmetric ones and uses its d
    orthonormal vectors, so that its posteriors are those of classes with unit covariance, softmax(h mu_c -
    ||mu_c||^2 / 2 + log prior_c): a nearest-mean classifier on the unchanged features. Both terms depend on
    the scale of the features.
    """
    means, targets = problem.statistics.means, problem.targets
    energies, own = [], []
    for part, block in problem.blocks():
        energies.append(block.logsumexp(1))
        posteriors = log_posteriors(block, means, means, problem.log_priors).exp()
        own.append(posteriors.gather(1, targets[part, None]))
    lowest = torch.cat(energies).sort().values[: max(1, int(LOWEST * len(targets)))]
    return {"etran_energy": float(lowest.mean()), "etran_lda": float(torch.cat(own).mean())}


def summands(terms: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """0.15 min-max(energy) + 0.85 min-max(LDA) over the pool."""
    return {"etran": {name: weight * min_max(terms[name]) for name, weight in WEIGHTS.items()}}
