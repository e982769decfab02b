"""Gaussian classes: discriminant analysis with one covariance for all, and the overlap of classes."""

import torch
from torch import Tensor

from nctransfer.collapse.rounding import ARITHMETIC
from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.problem import Problem, class_sums

COMPONENTS = 64  # principal components of GBC (Pandy et al. 2022) and of NCTI's code


def shrunk(covariance: Tensor, shrinkage: float) -> Tensor:
    """(1 - s) C + s tr(C)/d I of a covariance C (d, d)."""
    mean = covariance.trace() / len(covariance)
    return (1 - shrinkage) * covariance + shrinkage * mean * torch.eye(len(covariance)).to(covariance)


def shrunk_whitener(values: Tensor, vectors: Tensor, shrinkage: float) -> Tensor:
    """A (d, d) with A^T C A = I for C (eigenvalues (d,), eigenvectors (d, d)) :func:`shrunk` by s > 0."""
    values = (1 - shrinkage) * values.clamp(min=0) + shrinkage * values.mean()
    return vectors / values.sqrt()


def whitener(values: Tensor, vectors: Tensor, smallest: Tensor) -> Tensor:
    """A (d, r) with A^T C A = I for a covariance C with eigenvalues (d,) and eigenvectors (d, d).

    Directions whose variance is at most ``smallest``, (d,), are left out; r is the number of the others.
    """
    kept = values > smallest
    return vectors[:, kept] / values[kept].sqrt()


def log_posteriors(rows: Tensor, means: Tensor, solved: Tensor, log_priors: Tensor) -> Tensor:
    """Log posteriors (N, K) of Gaussian classes with one covariance S, for rows (N, d).

    ``means`` are (K, d), ``solved`` is S^-1 mu_k = A A^T mu_k (:func:`whitener`), or the means for the unit
    covariance.
    """
    return (rows @ solved.T - (means * solved).sum(1) / 2 + log_priors).log_softmax(1)


def refuse_flat_classes(problem: Problem) -> None:
    """Raise DegenerateInputError where the scatter within all classes is only rounding."""
    statistics, counts = problem.statistics, problem.counts
    rounding = statistics.row_rounding + ARITHMETIC**2 * statistics.means.square().sum(1)
    if float(statistics.scatter.sum()) <= float(counts.double() @ rounding):
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
    points, targets, counts = problem.principal(COMPONENTS).points, problem.targets, problem.counts
    means = class_means(points, targets, counts)
    squares = (points - means[targets]).square().mean(1)
    variances = class_sums(squares[:, None], targets, len(counts))[:, 0] / counts
    rounding = problem.statistics.row_rounding + ARITHMETIC**2 * points.square().sum(1).max()
    flat = variances * points.shape[1] <= rounding
    if bool(flat.any()):
        first = int(problem.statistics.rows.classes[flat][0])
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
