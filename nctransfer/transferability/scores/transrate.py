"""TransRate (Huang et al. 2022, arXiv 2106.09362): coding rate of the features minus that within classes."""

import torch
from torch import Tensor

from nctransfer.collapse.rounding import eigenvalue_rounding
from nctransfer.transferability.problem import Problem

TITLES = {"transrate": "TransRate"}

EPSILON = 1e-4
LOST = 1e-3  # rounding of an eigenvalue, to be compared with the 1 that is added to it


def terms(problem: Problem) -> dict[str, float]:
    """R(Z) - mean_k R(Z_k), R(Z) = 1/2 logdet(I + Z^T Z / (n eps)), Z centred on the mean of all samples.

    Depends on the scale of the features; above about 10 the rounding of float16 features counts.
    """
    covariance, rows = problem.statistics.covariance, problem.statistics.rows
    parts = []
    for index in range(len(problem.counts)):
        centred = rows.class_rows(index).double() - covariance.centre
        # the second moment, or the Gram matrix with the same eigenvalues where that is smaller
        gram = centred @ centred.T if len(centred) <= centred.shape[1] else centred.T @ centred
        parts.append(_rate(gram / len(centred)))
    return {"transrate": float(_rate(covariance.matrix) - torch.stack(parts).mean())}


def _rate(moment: Tensor) -> Tensor:
    """R of rows with this second moment; directions of rounding cancel in the difference."""
    inner = moment / EPSILON
    rounding = eigenvalue_rounding(*moment.shape)
    if rounding * float(inner.trace()) > LOST:  # the identity would be lost in the rounding of large features
        values = torch.linalg.eigvalsh(inner)
        return values[values > rounding * values[-1]].log1p().sum() / 2
    inner.diagonal().add_(1)
    return torch.linalg.cholesky(inner).diagonal().log().sum()
