"""Geometry of class means and classifier: NC2, NC3 and NC4 (Papyan, Han and Donoho 2020).

Every function takes the statistics of :func:`~nctransfer.collapse.class_statistics.class_statistics`; 0 is
full collapse. Means are centred on the mean of class means m, and classes have equal weight, whatever their
n_k. For K > d + 1 classes a simplex ETF does not fit into the features, so that NC2 and NC3 cannot reach 0.
"""

import torch
from numpy.typing import NDArray
from torch import Tensor

from nctransfer.collapse.class_statistics import ClassStatistics
from nctransfer.collapse.inputs import as_tensor
from nctransfer.collapse.rows import block_rows
from nctransfer.errors import DegenerateInputError


def equinorm(statistics: ClassStatistics) -> float:
    """NC2, equal norms: standard deviation over mean of ||mu_k - m||, k = 1..K (population form).

    DegenerateInputError for two classes, whose means have the same distance from m by construction.
    """
    norms = _nc2_means(statistics).norm(dim=1)
    return float(norms.std(correction=0) / norms.mean())


def equiangle(statistics: ClassStatistics) -> float:
    """NC2, equal angles: mean over pairs i != j of |cos(mu_i - m, mu_j - m) + 1 / (K - 1)|.

    DegenerateInputError for two classes, whose angle is exact by construction, or a class whose mean is m.
    """
    means = _nc2_means(statistics)
    classes = len(means)
    norms = means.norm(dim=1)
    apart = norms - statistics.mean_rounding - statistics.mean_rounding.mean()
    if float(apart.min()) <= 0:
        label = int(statistics.rows.classes[int(apart.argmin())])
        raise DegenerateInputError(
            f"{statistics.name}: the mean of class {label} is the mean of all class means, so it has no angle"
        )
    directions = means / norms[:, None]
    deviations = (directions @ directions.T + 1 / (classes - 1)).abs().fill_diagonal_(0)
    return float(deviations.sum()) / (classes * (classes - 1))


def etf_distance(statistics: ClassStatistics) -> float:
    """NC2, distance of the Gram matrix of the means to that of a simplex equiangular tight frame (ETF).

        || S / ||S||_F - (I - 11^T / K) / sqrt(K - 1) ||_F with S = M~ M~^T (K, K); at most 2.

    DegenerateInputError for two classes, whose means are a simplex by construction.
    """
    means = _nc2_means(statistics)
    return _simplex_distance(means @ means.T)


def self_duality(statistics: ClassStatistics, weight: Tensor | NDArray) -> float:
    """NC3: distance of W M~^T (K, K) to the simplex ETF, like :func:`etf_distance` of M~ M~^T.

    ``weight`` is (C, d), one row per class; rows of classes without samples are left out. Raises
    DegenerateInputError: the shape does not fit, weights are not finite, or W M~^T is 0.
    """
    matrix = _classifier(statistics, weight)[statistics.rows.classes]
    product = matrix @ statistics.centred_means.T
    if float(product.norm()) <= float(matrix.norm() * statistics.mean_rounding.norm()):
        raise DegenerateInputError(
            f"{statistics.name}: the classifier's weights W have W M~^T = 0, so NC3 has no value"
        )
    return _simplex_distance(product)


def centre_disagreement(
    statistics: ClassStatistics, weight: Tensor | NDArray, bias: Tensor | NDArray | None
) -> float:
    """NC4: share of samples where the classifier and the nearest class mean disagree.

    argmax_c (w_c h + b_c) != argmin_k ||h - mu_k||, averaged over the N samples (so that larger classes have
    more weight). ``weight`` is (C, d), ``bias`` (C,) or None; a prediction of a class without samples is a
    disagreement. Raises DegenerateInputError: shapes do not fit, or weights are not finite.
    """
    matrix = _classifier(statistics, weight)
    offset = _bias(statistics, bias, len(matrix))
    rows, dtype = statistics.rows, statistics.rows.product_dtype
    # relative to the centre, so that neither logits nor distances lose digits to a common offset
    centre, means = statistics.means.mean(0), statistics.centred_means
    logit_offset = (offset + matrix @ centre).to(dtype)
    distance_offset = (-0.5 * means.square().sum(1)).to(dtype)
    factor = torch.cat([matrix, means]).T.to(dtype)
    disagreements = 0
    for part in rows.features.split(block_rows(rows.features, dtype)):
        product = (part.to(dtype) - centre.to(dtype)) @ factor
        predictions = (product[:, : len(matrix)] + logit_offset).argmax(1)
        nearest = rows.classes[(product[:, len(matrix) :] + distance_offset).argmax(1)]
        disagreements += int((predictions != nearest).sum())
    return disagreements / statistics.samples


def _nc2_means(statistics: ClassStatistics) -> Tensor:
    if len(statistics.means) == 2:
        one, other = statistics.rows.classes.tolist()
        raise DegenerateInputError(
            f"{statistics.name}: the means of two classes ({one} and {other}) are a simplex by construction, "
            "so NC2 says nothing; it needs three"
        )
    return statistics.centred_means


def _simplex_distance(product: Tensor) -> float:
    classes = len(product)
    simplex = torch.eye(classes, dtype=product.dtype, device=product.device) - 1 / classes
    return float((product / product.norm() - simplex / (classes - 1) ** 0.5).norm())


def _classifier(statistics: ClassStatistics, weight: Tensor | NDArray) -> Tensor:
    matrix = as_tensor(weight).to(device=statistics.means.device, dtype=torch.float64)
    minimum = int(statistics.rows.classes[-1]) + 1
    if matrix.ndim != 2 or matrix.shape[1] != statistics.width or len(matrix) < minimum:
        raise DegenerateInputError(
            f"{statistics.name}: the classifier's weights have shape {tuple(matrix.shape)}, allowed is "
            f"({minimum} or more classes, {statistics.width})"
        )
    return _finite_parameters(statistics, matrix, "weights")


def _bias(statistics: ClassStatistics, bias: Tensor | NDArray | None, classes: int) -> Tensor:
    if bias is None:
        return torch.zeros(classes, dtype=torch.float64, device=statistics.means.device)
    offset = as_tensor(bias).to(device=statistics.means.device, dtype=torch.float64)
    if offset.shape != (classes,):
        raise DegenerateInputError(
            f"{statistics.name}: the bias has shape {tuple(offset.shape)}, allowed is ({classes},)"
        )
    return _finite_parameters(statistics, offset, "bias")


def _finite_parameters(statistics: ClassStatistics, values: Tensor, kind: str) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise DegenerateInputError(f"{statistics.name}: the classifier's {kind} hold NaN or infinity")
    return values
