"""Scatter of samples about their class means, compared with the distances of the means.

Every function takes the statistics of :func:`~nctransfer.collapse.class_statistics.class_statistics`, whose
notation is used here; smaller values mean more collapse.
"""

import math

import torch
from torch import Tensor

from nctransfer.collapse.class_statistics import ClassStatistics, class_statistics
from nctransfer.collapse.rows import ClassSortedRows
from nctransfer.collapse.spectrum import largest_eigenvalues
from nctransfer.data.keyed_random import Stream, generator
from nctransfer.errors import DegenerateInputError


def nc1(statistics: ClassStatistics) -> float:
    r"""NC1 = (1/K) tr(S_W S_B^+), Li et al. 2024 (arXiv 2212.12206) eq. 4.

    S_W = (1/N) sum_i (h_i - mu_{y_i})(h_i - mu_{y_i})^T gives all samples equal weight, S_B = (1/K) sum_k
    (mu_k - m)(mu_k - m)^T all classes: the paper's form, which it states for balanced data. With the thin SVD
    M~ = U S V^T this is (1/N) ||(H - M[y]) V S^-1||_F^2, a sum of squares, so that it is never negative and
    needs no d x d matrix. DegenerateInputError where it is not finite.

    K > d is allowed: the rank is then at most d. Invariant to rotation, scaling and shift, and where r = d to
    any invertible map. Not comparable across N / K, d or data sets: with uninformative labels it is about n
    (K - 1) / d (n samples per class, d >> K), see :func:`shuffled_nc1`.
    """
    return _finite(statistics.whitened_scatter / statistics.samples, "NC1", statistics)


def shuffled_nc1(statistics: ClassStatistics, *, permutations: int = 3, seed: int = 0) -> float:
    """NC1 of the same features under shuffled labels, mean over permutations: the level without collapse.

    The shuffles depend only on ``seed``, not on the device. Raises DegenerateInputError: the class means
    coincide under a shuffle (few, repeated rows). Raises ValueError: fewer than one shuffle.
    """
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}, allowed is 1 or more")
    rows = statistics.rows
    draw = generator(seed, Stream.LABELS)
    values = []
    for number in range(permutations):
        shuffle = torch.randperm(statistics.samples, generator=draw).to(rows.labels.device)
        name = f"{statistics.name}, shuffle {number + 1} of the labels"
        values.append(nc1(class_statistics(rows.features, rows.labels[shuffle], name=name, dtype=rows.dtype)))
    return sum(values) / len(values)


def cdnv(statistics: ClassStatistics) -> float:
    """Class-distance normalised variance, Galanti et al. 2022 (arXiv 2112.15121) def. 1.

    Mean over pairs i != j of (Var_i + Var_j) / (2 ||mu_i - mu_j||^2) with Var_k = (1/n_k) sum ||h - mu_k||^2;
    the distance is squared. All pairs have equal weight, whatever their n_k; K > d is no special case.
    Invariant to rotation, scaling and shift. DegenerateInputError where two class means are equal up to
    rounding.
    """
    classes = len(statistics.means)
    centred = statistics.centred_means
    distances = torch.cdist(centred, centred, compute_mode="donot_use_mm_for_euclid_dist")
    distances.fill_diagonal_(torch.inf)
    apart = distances - statistics.mean_rounding[:, None] - statistics.mean_rounding
    nearest = int(apart.argmin())
    if float(apart.flatten()[nearest]) <= 0:
        one, other = (int(statistics.rows.classes[index]) for index in divmod(nearest, classes))
        raise DegenerateInputError(
            f"{statistics.name}: classes {one} and {other} have the same mean, so CDNV is undefined"
        )
    variances = statistics.scatter / statistics.rows.counts
    pairs = (variances[:, None] + variances) / (2 * distances.square())
    return _finite(float(pairs.sum()) / (classes * (classes - 1)), "CDNV", statistics)


def numerical_rank(statistics: ClassStatistics) -> float:
    """Mean numerical rank of the classes, Timor et al. 2023 (arXiv 2201.12760).

    (1/K) sum_k ||H_k||_F^2 / ||H_k||_2^2 with H_k (n_k, d) the features of the class, not centred. At least
    1, at most min(n_k, d) for class k; classes have equal weight, K > d is no special case. The spectral norm
    is exact, from the smaller Gram matrix, of order min(n_k, d). Invariant to rotation and scaling, not to
    shift. DegenerateInputError where all features of a class are zero.
    """
    # rows of unit mean square, so that their products neither overflow nor underflow
    scales = (statistics.squared_norms / statistics.rows.counts).sqrt().tolist()
    if 0 in scales:
        label = int(statistics.rows.classes[scales.index(0)])
        raise DegenerateInputError(
            f"{statistics.name}: all features of class {label} are zero, so its numerical rank is undefined"
        )
    largest = largest_eigenvalues(_gram(statistics.rows, *entry).double() for entry in enumerate(scales))
    ratios = [
        squared_norm / scale**2 / value
        for squared_norm, scale, value in zip(statistics.squared_norms.tolist(), scales, largest, strict=True)
    ]
    return _finite(sum(ratios) / len(ratios), "the numerical rank", statistics)


def _gram(rows: ClassSortedRows, index: int, scale: float) -> Tensor:
    """The smaller Gram matrix of the rows of a class, divided by ``scale``."""
    width, dtype = rows.features.shape[1], rows.product_dtype
    if int(rows.counts[index]) <= width:
        matrix = rows.class_rows(index).to(dtype) / scale
        return matrix @ matrix.T
    gram = torch.zeros(width, width, dtype=dtype, device=rows.features.device)
    for block in rows.class_blocks(index):
        matrix = block.to(dtype) / scale
        gram += matrix.T @ matrix
    return gram


def vci(statistics: ClassStatistics) -> float:
    """Variability collapse index, Xu and Liu 2023 (arXiv 2306.03440): 1 - tr(S_T^+ S_B) / rank(S_B).

    S_T = S_W + S_B and S_B = sum_k (n_k / N) (mu_k - h)(mu_k - h)^T about the mean h of the samples: the
    weighted form, in which the trace is the H-score. In [0, 1], 0 = collapsed. Invariant to every invertible
    map; K > d is allowed. Two regimes are uninformative: for N <= d the value is 0 for any labels, which
    raises DegenerateInputError (rank N - 1), and for N near d it is small.
    """
    spectrum = statistics.covariance.spectrum
    if spectrum.rank >= statistics.samples - 1:
        raise DegenerateInputError(
            f"{statistics.name}: {statistics.samples} samples of width {statistics.width} have rank "
            f"{spectrum.rank}, so VCI is 0 for any labels; it needs two samples more than dimensions"
        )
    return min(max(1 - float(spectrum.explained.sum()) / statistics.rank, 0.0), 1.0)


def _finite(value: float, metric: str, statistics: ClassStatistics) -> float:
    if not math.isfinite(value):
        raise DegenerateInputError(
            f"{statistics.name}: {metric} is {value}; are the features' scales extreme?"
        )
    return value
