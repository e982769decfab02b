"""NCTI (Wang et al. 2023, ICCV): distance of the features from collapse, as in the published code.

Text, blog and code differ; this is the code, except for the principal components, which the code takes from a
randomised decomposition, so that its scores vary between runs.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from nctransfer.collapse.rounding import eigenvalue_rounding, rounding_along
from nctransfer.transferability.gaussian import (
    COMPONENTS,
    class_means,
    log_posteriors,
    pooled_covariance,
    refuse_flat_classes,
    shrunk,
    shrunk_whitener,
    whitener,
)
from nctransfer.transferability.pool import min_max, scaled_ranks
from nctransfer.transferability.problem import Problem

TITLES = {"ncti": "NCTI", "ncti_ranks": "NCTI (ranks)"}
TERMS = {"ncti_vc": "S_vc", "ncti_seli": "S_seli", "ncti_ncc": "S_ncc"}

LARGEST = 32  # number of variances that determine the shrinkage
NO_SHRINKAGE = 1e-10


def terms(problem: Problem) -> dict[str, float]:
    """S_vc, S_seli and S_ncc in 64 principal components.

    S_seli: nuclear norm of the features in the discriminant space of K - 1 dimensions. S_ncc: mean posterior
    of the true class. S_vc: -log sum_c ||P_c||_*, P_c (n_c, K) the posteriors of the samples of class c. The
    within-class covariance (1/N) is shrunk by exp(-sum of the 32 largest variances), where that is above
    1e-10: the score depends on the scale of the features. Else components are scaled to unit variance within
    classes, and directions without variance are left out. Raises DegenerateInputError: all samples of every
    class are equal.
    """
    refuse_flat_classes(problem)
    components, samples = problem.principal(COMPONENTS), problem.statistics.samples
    variances, points = components.variances, components.points
    total = float(variances[:LARGEST].sum()) * samples / (samples - 1)
    shrinkage = math.exp(-total)
    if shrinkage <= NO_SHRINKAGE:
        shrinkage = 0.0
    targets = problem.targets
    means = class_means(points, targets, problem.counts)
    within = pooled_covariance(points, means, targets)
    if shrinkage == 0:  # like the solver of the published code; matters for a singular S_W (N < 64 + K)
        squares = within.diagonal()
        squares = torch.where(squares > components.rounding, squares, variances)
        widths, rounding = squares.sqrt(), components.rounding / squares
        points, means, variances = points / widths, means / widths, variances / squares
        within = within / torch.outer(widths, widths)
        values, vectors = torch.linalg.eigh(within)
        smallest = eigenvalue_rounding(samples, len(values)) * values[-1]
        axes = whitener(values, vectors, smallest + rounding_along(vectors, rounding, samples, 1))
    else:
        values, vectors = torch.linalg.eigh(within)
        axes = shrunk_whitener(values, vectors, shrinkage)
    posteriors = log_posteriors(points, means, means @ axes @ axes.T, problem.log_priors).exp()
    between = shrunk(torch.diag(variances), shrinkage) - shrunk(within, shrinkage)
    _, turned = torch.linalg.eigh(axes.T @ between @ axes)
    discriminant = points @ (axes @ turned[:, -(len(means) - 1) :])
    own = posteriors.gather(1, targets[:, None])
    by_class = posteriors[torch.argsort(targets, stable=True)].split(problem.counts.tolist())
    norms = sum(float(torch.linalg.svdvals(part).sum()) for part in by_class)
    return {
        "ncti_vc": -math.log(norms),
        "ncti_seli": float(torch.linalg.svdvals(discriminant).sum()),
        "ncti_ncc": float(own.mean()),
    }


def summands(terms: dict[str, NDArray[np.float64]]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """min-max(S_seli) + min-max(S_ncc) - min-max(-S_vc) over the pool, in [-1, 2]; and the same of ranks.

    Ranks are not squeezed together by one model far from all others.
    """
    return {
        name: {"ncti_vc": -scale(-terms["ncti_vc"])}
        | {term: scale(terms[term]) for term in ("ncti_seli", "ncti_ncc")}
        for name, scale in (("ncti", min_max), ("ncti_ranks", scaled_ranks))
    }
