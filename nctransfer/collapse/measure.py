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
    """Metrics with the sizes on which they depend."""

    values: dict[str, float]  # metric name -> value, always finite
    undefined: dict[str, str]  # metric name -> why it is undefined for these features
    samples: int  # N
    classes: int  # K, classes with samples
    dropped_classes: int  # classes without samples, left out of every metric
    width: int  # d
    rank: int  # rank of the centred class means, at most min(K - 1, d)


def measure(
    features: Tensor | NDArray,
    labels: Tensor | NDArray,
    *,
    classes: int | None = None,
    permutations: int = 3,
    seed: int = 0,
    name: str = "features",
) -> Measurement:
    """Every metric that needs only features (N, d) and labels (N,), with arguments as ``class_statistics``.

    ``nc1``, ``nc1_shuffled`` (its mean over label permutations, to be stored with every NC1), ``vci``,
    ``cdnv``, ``numerical_rank``, ``nc2_equinorm``, ``nc2_equiangle``, ``nc2_etf``. Means are centred on the
    mean of class means. A metric that is undefined here (NC2 of two classes, VCI of fewer samples than
    dimensions, CDNV of two equal means) is listed in ``undefined``.

    Raises:
        DegenerateInputError: no metric is defined, see
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
    """The metrics of a classifier on its input features: ``nc3`` and ``nc4``.

    Weights are (C, d) and bias (C,) or None; the other arguments as in :func:`measure`. Raises
    DegenerateInputError: as :func:`measure`, or weights or bias of the wrong shape.
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
    sizes = statistics.samples, len(statistics.means), statistics.rows.dropped_classes
    return Measurement(values, undefined, *sizes, statistics.width, statistics.rank)
