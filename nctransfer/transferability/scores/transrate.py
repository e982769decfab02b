"""TransRate (Huang et al. 2022, arXiv 2106.09362): coding rate of the features minus that within classes."""

import torch
from torch import Tensor

from nctransfer.transferability.problem import Problem

TITLES = {"transrate": "TransRate"}

EPSILON = 1e-4


def terms(problem: Problem) -> dict[str, float]:
    """R(Z) - mean_k R(Z_k), R(Z) = 1/2 logdet(I + Z^T Z / (n eps)), Z centred on the mean of all samples.

    Depends on the scale of the features.
    """
    covariance, rows = problem.statistics.covariance, problem.statistics.rows
    whole = (covariance.spectrum.variances / EPSILON).log1p().sum() / 2
    parts = [
        _rate(rows.class_rows(index).double() - covariance.centre) for index in range(len(problem.counts))
    ]
    return {"transrate": float(whole - torch.stack(parts).mean())}


def _rate(centred: Tensor) -> Tensor:
    """R of rows (n, d), from the smaller Gram matrix."""
    gram = centred @ centred.T if len(centred) <= centred.shape[1] else centred.T @ centred
    inner = gram / (len(centred) * EPSILON)
    inner.diagonal().add_(1)
    factor = torch.linalg.cholesky(inner)
    return factor.diagonal().log().sum()
