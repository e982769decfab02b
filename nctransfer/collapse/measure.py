"""All collapse metrics of one feature matrix at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from numpy.typing import NDArray
from torch import Tensor

from nctransfer.collapse.class_statistics import ClassStatistics, class_statistics
from nctransfer.collapse.nc1 import cdnv, nc1, numerical_rank, shuffled_nc1, vci
from nctransfer.collapse.nc2_to_nc4 import (
    centre_disagreement,
    equiangle,
    equinorm,
    etf_distance,
    self_duality,
)
from nctransfer.errors import DegenerateInputError


@dataclass(frozen=True)
class Measurement:
    """Metrics with the numbers that say how far they compare.

    Attributes:
        values: metric name -> value, always finite.
        undefined: metric name -> why it has no value on these features.
        samples: N.
        classes: K, classes with samples.
        dropped_classes: classes without samples, left out of every metric.
        width: d.
        rank: rank of the centred class means, at most min(K - 1, d).
    """

    values: dict[str, float]
    undefined: dict[str, str]
    samples: int
    classes: int
    dropped_classes: int
    width: int
    rank: int


def measure(
    features: Tensor | NDArray,
    labels: Tensor | NDArray,
    *,
    classes: int | None = None,
    permutations: int = 3,
    seed: int = 0,
    name: str = "features",
) -> Measurement:
    """Every metric that needs features and labels only.

    ``nc1``, ``nc1_shuffled`` (its mean under shuffled labels, to be stored beside every NC1),
    ``vci``, ``cdnv``, ``numerical_rank``, ``nc2_equinorm``, ``nc2_equiangle``, ``nc2_etf``.
    Means are centred on the mean of class means.

    Args:
        features: (N, d) float64, float32, float16 or bfloat16, on any device.
        labels: (N,) integers.
        classes: number of classes that the labels may name; None: the largest label + 1.
        permutations: shuffles that ``nc1_shuffled`` averages over.
        seed: seed of the shuffles.
        name: what the features are called in messages, for instance ``unit 3 (layer1.2)``.

    Returns:
        the measurement; a metric that alone has no meaning here (NC2 of two classes, VCI of
        fewer samples than dimensions, CDNV of two equal means) is named in ``undefined``.

    Raises:
        DegenerateInputError: no metric has a meaning, see
            :func:`~nctransfer.collapse.class_statistics.class_statistics`.
    """
    return _measured(
        class_statistics(features, labels, classes=classes, name=name),
        {
            "nc1": nc1,
            "nc1_shuffled": partial(shuffled_nc1, permutations=permutations, seed=seed),
            "vci": vci,
            "cdnv": cdnv,
            "numerical_rank": numerical_rank,
            "nc2_equinorm": equinorm,
            "nc2_equiangle": equiangle,
            "nc2_etf": etf_distance,
        },
    )


def measure_classifier(
    features: Tensor | NDArray,
    labels: Tensor | NDArray,
    weight: Tensor | NDArray,
    bias: Tensor | NDArray | None,
    *,
    classes: int | None = None,
    name: str = "features",
) -> Measurement:
    """The metrics of a classifier on the features that it sees: ``nc3`` and ``nc4``.

    Args:
        features: (N, d), as :func:`measure`.
        labels: (N,) integers.
        weight: (C, d), the classifier's weights, one row a class.
        bias: (C,), or None for a classifier without.
        classes: number of classes that the labels may name; None: the largest label + 1.
        name: what the features are called in messages.

    Raises:
        DegenerateInputError: as :func:`measure`, or weights or bias that do not fit.
    """
    return _measured(
        class_statistics(features, labels, classes=classes, name=name),
        {
            "nc3": partial(self_duality, weight=weight),
            "nc4": partial(centre_disagreement, weight=weight, bias=bias),
        },
    )


def _measured(
    statistics: ClassStatistics, metrics: dict[str, Callable[[ClassStatistics], float]]
) -> Measurement:
    values, undefined = {}, {}
    for metric, function in metrics.items():
        try:
            values[metric] = function(statistics)
        except DegenerateInputError as error:
            undefined[metric] = str(error)
    return Measurement(
        values=values,
        undefined=undefined,
        samples=statistics.samples,
        classes=len(statistics.means),
        dropped_classes=statistics.rows.dropped_classes,
        width=statistics.width,
        rank=statistics.rank,
    )
