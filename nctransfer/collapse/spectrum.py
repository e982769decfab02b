"""The covariance of all samples by direction: how much of each direction's variance the classes explain.

VCI, the H-score, and every score that begins with a principal component analysis read it; it is
computed once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nctransfer.collapse.rows import ClassSortedRows, block_rows

# Columns of a block of the covariance: of a symmetric matrix the lower blocks alone are computed.
COVARIANCE_COLUMNS = 512


@dataclass(frozen=True)
class Spectrum:
    """Eigendecomposition of S_T = (1/N) sum_i (h_i - h)(h_i - h)^T, h the mean of the samples.

    Attributes:
        centre: (d,) float64, the mean h of the samples.
        variances: (r,) float64, eigenvalues of S_T, descending; r = rank(S_T) <= min(N - 1, d).
        directions: (d, r) float64, the eigenvectors, each with its largest component positive.
        explained: (r,) float64, share of a direction's variance between the classes, v^T S_B v / variance
            with S_B = sum_k (n_k / N) (mu_k - h)(mu_k - h)^T. Their sum is tr(S_T^+ S_B), the H-score.
        total: tr(S_T), rounding noise of lost directions included.
    """

    centre: Tensor = field(repr=False)
    variances: Tensor = field(repr=False)
    directions: Tensor = field(repr=False)
    explained: Tensor = field(repr=False)
    total: float

    @property
    def rank(self) -> int:
        """Rank of S_T."""
        return len(self.variances)

    def project(self, features: Tensor, count: int) -> Tensor:
        """Coordinates of rows (N, d) on the first ``count`` principal directions, (N, count) float64."""
        axes = self.directions[:, :count]
        blocks = features.split(block_rows(features, torch.float64))
        return torch.cat([(block.double() - self.centre) @ axes for block in blocks])


def spectrum(rows: ClassSortedRows, means: Tensor) -> Spectrum:
    """Eigendecomposition of the samples' covariance.

    Works on the d x d covariance in float64 (N d^2 multiply-adds), or on the N x N Gram matrix where
    N <= d.

    Args:
        rows: the features, class by class.
        means: (K, d) float64, class means.
    """
    samples, width = rows.features.shape
    centre = (rows.counts[:, None] * means).sum(0) / samples
    if samples <= width:
        return _by_gram(rows, centre)
    return _by_covariance(rows, means, centre)


def second_moment(residuals: Iterable[Tensor], samples: int) -> Tensor:
    """(1/N) sum_i r_i r_i^T, (d, d) float64, of rows that come in blocks (B, d) float64.

    Args:
        residuals: the blocks, at least one.
        samples: N.
    """
    moment: Tensor | None = None
    for block in residuals:
        if moment is None:
            moment = torch.zeros(block.shape[1], block.shape[1], dtype=torch.float64, device=block.device)
        for start in range(0, block.shape[1], COVARIANCE_COLUMNS):
            columns = slice(start, start + COVARIANCE_COLUMNS)
            moment[start:, columns].addmm_(block[:, start:].T, block[:, columns], alpha=1 / samples)
    assert moment is not None
    return moment.tril() + moment.tril(-1).T


def _by_covariance(rows: ClassSortedRows, means: Tensor, centre: Tensor) -> Spectrum:
    blocks = rows.features.split(block_rows(rows.features, torch.float64))
    total = second_moment((block.double() - centre for block in blocks), len(rows.features))
    values, vectors = torch.linalg.eigh(total)
    kept = values > _cutoff(values)
    values, vectors = values[kept].flip(0), _oriented(vectors[:, kept].flip(1))
    weighted = (rows.counts.double() / len(rows.features)).sqrt()[:, None] * (means - centre)
    explained = (weighted @ vectors).square().sum(0) / values
    return Spectrum(centre, values, vectors, explained, float(total.trace()))


def _by_gram(rows: ClassSortedRows, centre: Tensor) -> Spectrum:
    """The same for N <= d: what classes explain is read off the left singular vectors, without a division."""
    residual = rows.features.double() - centre
    values, vectors = torch.linalg.eigh(residual @ residual.T)
    kept = values > _cutoff(values)
    values, vectors = values[kept].flip(0), vectors[:, kept].flip(1)
    members = (rows.labels[:, None] == rows.classes).double() / rows.counts.double().sqrt()
    explained = (members.T @ vectors).square().sum(0)
    directions = _oriented(residual.T @ vectors / values.sqrt())
    return Spectrum(
        centre, values / len(residual), directions, explained, float(residual.square().sum()) / len(residual)
    )


def _cutoff(eigenvalues: Tensor) -> Tensor:
    return len(eigenvalues) * torch.finfo(torch.float64).eps * eigenvalues[-1]


def _oriented(vectors: Tensor) -> Tensor:
    """Vectors (d, r) of one sign: an eigenvector's is the library's whim."""
    largest = vectors.gather(0, vectors.abs().argmax(0, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0)
