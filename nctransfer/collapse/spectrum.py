"""The covariance of all samples by direction, and the share of each variance that the classes explain.

Used by VCI, the H-score, and every score that starts with a principal component analysis; each part is
computed once, at the first access.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nctransfer.collapse.rounding import eigenvalue_rounding, relative_rounding, rounding_along
from nctransfer.collapse.rows import ClassSortedRows

# Order of matrices from which on Lanczos iterations find the largest eigenvalue: a tenth of the time of all.
ITERATED = 256
# Size of a block whose products are summed: large enough for several threads.
COVARIANCE_BYTES = 16 << 20


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of S_T = (1/N) sum_i (h_i - h)(h_i - h)^T, h the mean of the samples."""

    # (r,) float64, eigenvalues of S_T, descending; r = rank(S_T) <= min(N - 1, d)
    variances: Tensor = field(repr=False)
    # (r,) float64, share of a direction's variance between the classes, v^T S_B v / variance with S_B = sum_k
    # (n_k / N) (mu_k - h)(mu_k - h)^T. Their sum is tr(S_T^+ S_B), the H-score.
    explained: Tensor = field(repr=False)
    total: float  # tr(S_T), including directions below the rank

    @property
    def rank(self) -> int:
        """Rank of S_T."""
        return len(self.variances)


@dataclass(frozen=True)
class Covariance:
    """S_T of the samples, float64; for N <= d by the N x N Gram matrix of the centred rows.

    ``rows`` are the features, ``means`` (K, d) float64 the class means.
    """

    rows: ClassSortedRows = field(repr=False)
    means: Tensor = field(repr=False)

    @cached_property
    def centre(self) -> Tensor:
        """(d,) float64, the mean h of the samples."""
        return (self.rows.counts[:, None] * self.means).sum(0) / len(self.rows.features)

    @property
    def is_gram(self) -> bool:
        """Whether :attr:`matrix` is the Gram matrix."""
        samples, width = self.rows.features.shape
        return samples <= width

    @cached_property
    def matrix(self) -> Tensor:
        """S_T (d, d), N d^2 multiply-adds; or where N <= d the Gram matrix over N, (N, N)."""
        features = self.rows.features
        if self.is_gram:
            residual = features.double() - self.centre
            return residual @ residual.T / len(features)
        blocks = features.split(covariance_rows(features))
        return second_moment((block.double() - self.centre for block in blocks), len(features))

    @cached_property
    def column_squares(self) -> Tensor:
        """(d,) float64, mean squares of the columns, not centred."""
        if self.is_gram:
            return self.rows.features.double().square().mean(0)
        return self.matrix.diagonal() + self.centre.square()

    def significant(self, values: Tensor, vectors: Tensor) -> Tensor:
        """Which eigenvalues (r,) of :attr:`matrix`, or of it uncentred, are more than rounding, (r,) bool."""
        features = self.rows.features
        samples, width = features.shape
        relative = relative_rounding(self.rows.dtype)
        if self.is_gram:
            lengths = features.double().square().sum(1) / samples
            rounding = rounding_along(vectors, lengths, width, relative)
        else:
            rounding = rounding_along(vectors, self.column_squares, samples, relative)
        return values > eigenvalue_rounding(samples, width) * values.max() + rounding

    @cached_property
    def spectrum(self) -> Spectrum:
        """All variances, and the shares explained by the classes."""
        values, vectors = torch.linalg.eigh(self.matrix)
        significant = self.significant(values, vectors)
        values, vectors = values[significant].flip(0), vectors[:, significant].flip(1)
        counts = self.rows.counts.double()
        if self.is_gram:  # left singular vectors need no division by small variances
            members = (self.rows.labels[:, None] == self.rows.classes).double() / counts.sqrt()
            explained = (members.T @ vectors).square().sum(0)
        else:
            weighted = (counts / len(self.rows.features)).sqrt()[:, None] * (self.means - self.centre)
            explained = (weighted @ vectors).square().sum(0) / values
        return Spectrum(values, explained, float(self.matrix.trace()))

    def leading(self, count: int) -> tuple[Tensor, Tensor]:
        """The ``count`` largest variances (p,), descending, p <= rank, and their directions (d, p)."""
        values, vectors = _largest(self.matrix, count)
        significant = self.significant(values, vectors)
        values, vectors = values[significant], vectors[:, significant]
        if self.is_gram:
            residual = self.rows.features.double() - self.centre
            vectors = residual.T @ vectors / (values * len(residual)).sqrt()
        return values, vectors


def _largest(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Largest eigenvalues of a symmetric matrix, descending, with their vectors."""
    size = len(matrix)
    count = min(count, size)
    if matrix.device.type == "cpu":  # a third of the time for all eigenvalues
        with torch_threads() as linalg:
            pair = linalg.eigh(matrix.numpy(), subset_by_index=[size - count, size - 1])
        values, vectors = (torch.from_numpy(part) for part in pair)
    else:
        values, vectors = (part[..., size - count :] for part in torch.linalg.eigh(matrix))
    return values.flip(0), vectors.flip(1)


def largest_eigenvalues(matrices: Iterable[Tensor]) -> list[float]:
    """Largest eigenvalue of each symmetric positive semidefinite matrix (n, n) float64, to its rounding."""
    from scipy.sparse.linalg import eigsh  # as in torch_threads

    found = []
    with torch_threads():
        for matrix in matrices:
            if matrix.device.type != "cpu" or len(matrix) < ITERATED:
                found.append(float(torch.linalg.eigvalsh(matrix)[-1]))
                continue
            # a start in which no direction is missing, unlike sums of centred rows
            start = np.random.default_rng(0).standard_normal(len(matrix))
            values = eigsh(matrix.numpy(), 1, v0=start, which="LA", return_eigenvectors=False)
            found.append(float(values[0]))
    return found


@contextmanager
def torch_threads() -> Iterator[ModuleType]:
    """``scipy.linalg`` with torch's number of threads, on which the last bits of sums depend.

    It is imported here because most jobs that measure features do not need it.
    """
    import scipy.linalg
    from threadpoolctl import threadpool_limits

    with threadpool_limits(torch.get_num_threads()):
        yield scipy.linalg


def covariance_rows(features: Tensor) -> int:
    """Number of rows (N, d) in a block for :func:`second_moment`."""
    return max(1, COVARIANCE_BYTES // (features.shape[1] * torch.float64.itemsize))


def second_moment(residuals: Iterable[Tensor], samples: int) -> Tensor:
    """(1/N) sum_i r_i r_i^T, (d, d) float64, of N rows in one or more blocks (B, d) float64."""
    moment: Any = None
    with torch_threads() as linalg:
        for block in residuals:
            width = block.shape[1]
            if block.device.type == "cpu":  # BLAS computes one half of a symmetric product
                moment = np.zeros((width, width), order="F") if moment is None else moment
                rows = block.numpy().T
                moment = linalg.blas.dsyrk(1 / samples, rows, 1.0, moment, lower=True, overwrite_c=True)
            else:
                moment = block.new_zeros(width, width) if moment is None else moment
                moment.addmm_(block.T, block, alpha=1 / samples)
    if isinstance(moment, np.ndarray):
        half = torch.from_numpy(moment)
        return half.tril() + half.tril(-1).T
    return moment
