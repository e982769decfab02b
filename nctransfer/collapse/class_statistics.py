r"""Class means and scatter, which all collapse metrics share, in two passes over the rows.

Notation: N samples, K classes with samples, n_k samples in class k, width d; features H (N, d) with rows h_i;
class means mu_k; centre m = (1/K) sum_k mu_k, the mean of the class means (as in the paper; on imbalanced
data it is not the mean of the samples); M~ (K, d) with rows mu_k - m and thin SVD M~ = U S V^T of rank r <=
min(K - 1, d).

The first pass sums the rows of each class in float64. The second subtracts the class mean from every row, so
that neither a large common offset nor strong collapse loses digits, and multiplies once by V S^-1 (d, r) in
float32, or float64 for float64 features and small problems. No d x d matrix is formed: memory is O(K d) plus
one block of rows.
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from numpy.typing import NDArray
from torch import Tensor

from nctransfer.collapse.inputs import refuse_non_finite
from nctransfer.collapse.rounding import ARITHMETIC, EPS, relative_rounding, rounding_along
from nctransfer.collapse.rows import ClassSortedRows, Segment, block_rows, class_sorted_rows
from nctransfer.collapse.spectrum import Covariance
from nctransfer.errors import DegenerateInputError

# Matrix products whose width is a multiple of 16 run up to 2.5 times faster on CPUs.
PRODUCT_COLUMNS = 16
# Squares of numbers in this range are safe in float32, with room for uneven scatter.
FLOAT32_RANGE = (1e-12, 1e12)


@dataclass(frozen=True)
class ClassStatistics:
    """Statistics of the features that the metrics need, computed once."""

    rows: ClassSortedRows  # the features, class by class
    means: Tensor = field(repr=False)  # (K, d) float64, class means mu_k
    scatter: Tensor = field(repr=False)  # (K,) float64, sum over the class of ||h - mu_k||^2
    # (K,) float64, ||H_k||_F^2 = scatter + n_k ||mu_k||^2 (not centred)
    squared_norms: Tensor = field(repr=False)
    axes: Tensor = field(repr=False)  # (d, r) float64, V S^-1 of the centred class means M~
    whitened_scatter: float  # ||(H - M[y]) V S^-1||_F^2

    @property
    def name(self) -> str:
        """Name of the features in messages."""
        return self.rows.name

    @property
    def samples(self) -> int:
        """Number of samples N."""
        return len(self.rows.features)

    @property
    def width(self) -> int:
        """Width of the features d."""
        return self.rows.features.shape[1]

    @property
    def rank(self) -> int:
        """Rank r of the centred class means, at most min(K - 1, d)."""
        return self.axes.shape[1]

    @property
    def centred_means(self) -> Tensor:
        """Class means minus the mean of class means, M~ (K, d) float64."""
        return self.means - self.means.mean(0)

    @property
    def row_rounding(self) -> Tensor:
        """Mean square length (K,) float64 by which rounding to their dtype moves the rows of each class."""
        relative = relative_rounding(self.rows.dtype)
        return relative**2 * self.squared_norms / self.rows.counts

    @property
    def mean_rounding(self) -> Tensor:
        """Length (K,) float64 by which rounding of rows and sums can move each class mean."""
        sums = ARITHMETIC**2 * self.means.square().sum(1)
        return (self.row_rounding / self.rows.counts + sums).sqrt()

    @cached_property
    def covariance(self) -> Covariance:
        """Covariance of all samples, computed at the first access."""
        return Covariance(self.rows, self.means)


def class_statistics(
    features: Tensor | NDArray,
    labels: Tensor | NDArray,
    *,
    classes: int | None = None,
    name: str = "features",
    dtype: torch.dtype | None = None,
) -> ClassStatistics:
    """Means and scatter of the classes, on the device of the features.

    Features are (N, d) float64, float32, float16 or bfloat16, in any row order; rows sorted by class save a
    gather. More than a million numbers of less than float64 are multiplied in float32. Labels are (N,)
    integers below ``classes`` (None: the largest label + 1); classes without samples are dropped and counted.
    With ``dtype``, the features count as if they had been copied to it, which saves the copy.

    Raises:
        DegenerateInputError: fewer than two classes, no class with two samples, features that are empty, not
            finite or constant, class means that are all equal, or labels that are out of range, not integers
            or not one per row.
    """
    rows = class_sorted_rows(features, labels, classes=classes, name=name, dtype=dtype)
    means = _class_means(rows)
    directions, singular_values = discriminant_directions(means, rows.dtype)
    axes = directions / singular_values
    scatter, whitened_scatter = _residual_pass(rows, means, axes)
    squared_norms = scatter + rows.counts * means.square().sum(1)
    statistics = ClassStatistics(rows, means, scatter, squared_norms, axes, whitened_scatter)
    _refuse_rounding_noise(statistics)
    if statistics.rank == 0:
        raise DegenerateInputError(
            f"{name}: the means of all {len(means)} classes (first class {int(rows.classes[0])}) are equal "
            "up to rounding, so collapse is undefined"
        )
    return statistics


def discriminant_directions(means: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Directions in which the class means differ: V (d, r) and S (r,) of the thin SVD M~ = U S V^T.

    Dropped are singular values up to max(K, d) eps64 s_1 (arithmetic), those that rounding of the means to
    ``dtype``, that of the features, can cause, and the last of K <= d, which centring makes zero. S is
    descending; ``means`` is (K, d) float64. r is 0 where all means are equal up to rounding.
    """
    classes, width = means.shape
    _, values, transposed = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    relative = max(relative_rounding(dtype), ARITHMETIC)
    rounding = rounding_along(transposed.T, means.square().mean(0), classes, relative)
    kept = values > torch.maximum((classes * rounding).sqrt(), max(classes, width) * EPS * values[0])
    kept[classes - 1 :] = False
    return transposed[kept].T, values[kept]


def _class_means(rows: ClassSortedRows) -> Tensor:
    """First pass: class means (K, d), summed in float64."""
    width, device = rows.features.shape[1], rows.features.device
    sums = torch.zeros(len(rows.counts), width, dtype=torch.float64, device=device)

    def sum_parts(block: Tensor, parts: list[Segment]) -> list[tuple[int, Tensor]]:
        return [(index, block[first:end].sum(0)) for index, first, end in parts]

    size = block_rows(rows.features, rows.product_dtype)
    for parts_of_block in rows.map_blocks(torch.float64, sum_parts, size):
        for index, part in parts_of_block:
            sums[index] += part
    if not bool(torch.isfinite(sums).all()):
        refuse_non_finite(rows.features, rows.labels, rows.name)
    return sums / rows.counts[:, None]


def _residual_pass(rows: ClassSortedRows, means: Tensor, projection: Tensor) -> tuple[Tensor, float]:
    """Second pass: scatter of the classes (K,), and ||(H - M[y]) A||_F^2 for A = projection (d, r).

    Squares are summed in float64 over the rows. Rows and class means are rounded to the same precision before
    the subtraction; the rounding error of the mean is added back after the product, where a row has only r
    numbers.
    """
    # float64 where squares could exceed the range of float32
    spread = float((means - means.mean(0)).square().sum(1).mean().sqrt())
    inside = FLOAT32_RANGE[0] < spread < FLOAT32_RANGE[1]
    dtype = rows.product_dtype if inside else torch.float64
    wide = torch.nn.functional.pad(projection, (0, -projection.shape[1] % PRODUCT_COLUMNS))
    factor = wide.to(dtype).contiguous()
    centres = means.to(dtype)
    shifts = ((means - centres.double()) @ factor.double()).to(dtype)

    def square_parts(block: Tensor, parts: list[Segment]) -> tuple[list[Tensor], Tensor]:
        for index, first, end in parts:
            block[first:end].sub_(centres[index])
        squares = _squared_lengths(block)
        projected = block @ factor
        for index, first, end in parts:
            projected[first:end].sub_(shifts[index])
        sums = [squares[first:end].sum() for _, first, end in parts]
        return sums, _squared_lengths(projected).sum()

    blocks = rows.map_blocks(dtype, lambda block, parts: (parts, *square_parts(block, parts)))
    owners = [index for parts, _, _ in blocks for index, _, _ in parts]
    squares = torch.stack([square for _, of_parts, _ in blocks for square in of_parts])
    sums = [0.0] * len(means)
    for index, square in zip(owners, squares.tolist(), strict=True):
        sums[index] += square
    scatter = torch.tensor(sums, dtype=torch.float64, device=means.device)
    scatter -= rows.counts * (means - centres.double()).square().sum(1)
    return scatter.clamp_(min=0), float(torch.stack([square for _, _, square in blocks]).sum())


def _squared_lengths(block: Tensor) -> Tensor:
    """Squared lengths (B,) float64 of rows; one sum over a block of float32 would lose five digits."""
    return torch.linalg.vector_norm(block, dim=1).double().square()


def _refuse_rounding_noise(statistics: ClassStatistics) -> None:
    """Refuse rows that differ only by the rounding of their own dtype."""
    rows, dtype = statistics.rows, statistics.rows.dtype
    centre = statistics.means.mean(0)
    between = (rows.counts * (statistics.means - centre).square().sum(1)).sum()
    deviation = float(((statistics.scatter.sum() + between) / statistics.samples).sqrt())
    if deviation <= 2 * torch.finfo(dtype).eps * float(centre.norm()):
        raise DegenerateInputError(
            f"{statistics.name}: all {statistics.samples} rows are equal up to the rounding of "
            f"{str(dtype).removeprefix('torch.')} (constant features)"
        )
