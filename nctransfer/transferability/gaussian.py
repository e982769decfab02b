"""Gaussian classes: discriminant analysis with one covariance for all, and the overlap of classes."""

import torch
from torch import Tensor

from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.problem import Problem, class_sums

COMPONENTS = 64  # principal components of GBC (Pandy et al. 2022) and of NCTI's code
ROUNDING = 64  # largest difference of equal rows from their mean, in units in the last place


def shrunk(covariance: Tensor, shrinkage: float) -> Tensor:
    """(1 - s) C + s tr(C)/d I of a covariance C (d, d)."""
    mean = covariance.trace() / len(covariance)
    return (1 - shrinkage) * covariance + shrinkage * mean * torch.eye(len(covariance)).to(covariance)


def whitener(values: Tensor, vectors: Tensor, shrinkage: float) -> Tensor:
    """A (d, r) with A^T C A = I for a shrunk covariance C.

    Args:
        values: (d,) eigenvalues of the covariance before shrinkage, ascending.
        vectors: (d, d) its eigenvectors.
        shrinkage: s of :func:`shrunk`; for 0, directions without variance are left out, and r is the rank.
    """
    if shrinkage > 0:
        values = (1 - shrinkage) * values.clamp(min=0) + shrinkage * values.mean()
        return vectors / values.sqrt()
    significant = values > len(values) * torch.finfo(torch.float64).eps * values[-1]
    return vectors[:, significant] / values[significant].sqrt()


def log_posteriors(rows: Tensor, means: Tensor, solved: Tensor, log_priors: Tensor) -> Tensor:
    """Log posteriors (N, K) of Gaussian classes with one covariance S, for rows (N, d).

    ``means`` are (K, d), ``solved`` is S^-1 mu_k = A A^T mu_k (:func:`whitener`), or the means for the unit
    covariance.
    """
    return (rows @ solved.T - (means * solved).sum(1) / 2 + log_priors).log_softmax(1)


def refuse_flat_classes(problem: Problem, variance: float, means: Tensor) -> None:
    """Raise DegenerateInputError for a within-class variance that is only rounding of means (K, d)."""
    apart = float((means - means.mean(0)).square().sum(1).mean())
    if variance <= (ROUNDING * torch.finfo(torch.float64).eps) ** 2 * apart:
        raise DegenerateInputError(
            f"{problem.name}: all samples of every class are equal, so discriminant analysis is undefined"
        )


def bhattacharyya(problem: Problem) -> Tensor:
    """Bhattacharyya distances between the classes, (K, K), infinite on the diagonal.

    Classes are spherical Gaussians in the space of the first 64 principal components, of p dimensions: D_ij =
    ||mu_i - mu_j||^2 / (8 s) + (p / 2) (log s - (log s_i + log s_j) / 2) with s_i the mean variance per
    dimension of the class (1/n_i) and s = (s_i + s_j) / 2. DegenerateInputError for a class without variance,
    for example one with a single sample.
    """
    (_, points), targets, counts = problem.principal(COMPONENTS), problem.targets, problem.counts
    means = class_means(points, targets, counts)
    squares = (points - means[targets]).square().mean(1)
    variances = class_sums(squares[:, None], targets, len(counts))[:, 0] / counts
    rounding = (ROUNDING * torch.finfo(torch.float64).eps) ** 2 * points.square().mean(1).max()
    if float(variances.min()) <= float(rounding):
        first = int(problem.statistics.rows.classes[variances.argmin()])
        raise DegenerateInputError(
            f"{problem.name}: class {first} has no variance, so its overlap with others is undefined"
        )
    shared = (variances[:, None] + variances) / 2
    gaps = torch.cdist(means, means, compute_mode="donot_use_mm_for_euclid_dist").square()
    logs = variances.log()
    distances = gaps / (8 * shared) + points.shape[1] / 2 * (shared.log() - (logs[:, None] + logs) / 2)
    return distances.fill_diagonal_(torch.inf)


def class_means(points: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """Means (K, p) of points (N, p) by class."""
    return class_sums(points, targets, len(counts)) / counts[:, None]


def pooled_covariance(points: Tensor, means: Tensor, targets: Tensor) -> Tensor:
    """Within-class covariance (p, p) of points (N, p), 1/N."""
    residual = points - means[targets]
    return residual.T @ residual / len(points)
