"""Input of every score: features of one data set under one model, and quantities that scores share."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import torch
from numpy.typing import NDArray
from torch import Tensor

from nctransfer.collapse.class_statistics import ClassStatistics, class_statistics
from nctransfer.collapse.inputs import as_tensor
from nctransfer.collapse.rounding import ARITHMETIC, relative_rounding
from nctransfer.collapse.spectrum import covariance_rows
from nctransfer.data.keyed_random import Stream, generator
from nctransfer.errors import DegenerateInputError


@dataclass(frozen=True)
class Components:
    """The first principal components of the features, p of them."""

    variances: Tensor  # (p,) float64, 1/N, descending
    points: Tensor  # (N, p) float64, coordinates of the samples
    rounding: Tensor  # (p,) float64, mean square error of the coordinates


@dataclass(frozen=True)
class Problem:
    """Features and labels of a data set under one model; read-only."""

    # class means, scatter and covariance (:mod:`nctransfer.collapse`); K classes with samples, N samples,
    # width d
    statistics: ClassStatistics
    # (N, Z) of the source classifier, None for a model without one
    logits: Tensor | None = field(default=None, repr=False)
    seed: int = 0  # of scores with random numbers (the start of a mixture)
    _principal: dict[int, Components] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        features: Tensor | NDArray,
        labels: Tensor | NDArray,
        logits: Tensor | NDArray | None = None,
        *,
        classes: int | None = None,
        seed: int = 0,
        name: str = "features",
    ) -> "Problem":
        """Check and wrap features (N, d), labels (N,) and logits (N, Z), as :func:`class_statistics`.

        ``seed`` is that of scores with random numbers, ``name`` that of the features in messages.
        DegenerateInputError for features for which no score is defined, or logits of the wrong shape.
        """
        statistics = class_statistics(features, labels, classes=classes, name=name)
        if logits is None:
            return cls(statistics, None, seed)
        outputs = as_tensor(logits)
        if outputs.ndim != 2 or len(outputs) != statistics.samples or outputs.shape[1] < 2:
            raise DegenerateInputError(
                f"{name}: logits have shape {tuple(outputs.shape)}, allowed is ({statistics.samples}, Z), "
                "Z > 1"
            )
        if not bool(torch.isfinite(outputs).all()):
            raise DegenerateInputError(f"{name}: logits hold NaN or infinity")
        return cls(statistics, outputs, seed)

    @property
    def name(self) -> str:
        """Name of the features in messages."""
        return self.statistics.name

    @property
    def features(self) -> Tensor:
        """(N, d), as passed."""
        return self.statistics.rows.features

    @property
    def source_logits(self) -> Tensor:
        """(N, Z) of the source classifier; DegenerateInputError where the model has none."""
        if self.logits is None:
            raise DegenerateInputError(f"{self.name}: no source classifier")
        return self.logits

    @cached_property
    def targets(self) -> Tensor:
        """(N,) int64, indices 0 to K - 1 of the classes with samples."""
        return torch.searchsorted(self.statistics.rows.classes, self.statistics.rows.labels)

    @property
    def counts(self) -> Tensor:
        """(K,) number of samples of the classes."""
        return self.statistics.rows.counts

    @property
    def log_priors(self) -> Tensor:
        """(K,) float64, logarithms of the classes' shares of the samples."""
        return (self.counts.double() / self.statistics.samples).log()

    def principal(self, count: int) -> Components:
        """The first ``count`` principal components (at most the rank), exact and with fixed signs.

        The sum of cubes of each is positive, so that signs follow from the samples, whatever their order and
        the axes of the features. Components of equal variance have no definite directions, and one whose
        samples lie symmetrically has no definite sign.
        """
        if count not in self._principal:
            covariance = self.statistics.covariance
            variances, axes = covariance.leading(count)
            points = torch.cat([(block - covariance.centre) @ axes for _, block in self.blocks()])
            points = points * torch.where(points.pow(3).sum(0) < 0, -1.0, 1.0)
            relative = relative_rounding(self.statistics.rows.dtype)
            rounding = relative**2 * (covariance.column_squares @ axes.square())
            rounding += ARITHMETIC**2 * covariance.matrix.trace()
            self._principal[count] = Components(variances, points, rounding)
        return self._principal[count]

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Blocks of rows (B, d) float64 with their positions."""
        size = covariance_rows(self.features)
        for start in range(0, self.statistics.samples, size):
            part = slice(start, min(start + size, self.statistics.samples))
            yield part, self.features[part].double()

    def subsample(self, limit: int | None) -> "Problem":
        """At most ``limit`` samples, in proportion to the classes; the rows follow from labels and seed."""
        if limit is None or self.statistics.samples <= limit:
            return self
        rows = stratified(self.statistics.rows.labels, limit, self.seed)
        return Problem.of(
            self.features[rows],
            self.statistics.rows.labels[rows],
            None if self.logits is None else self.logits[rows],
            seed=self.seed,
            name=f"{self.name}, {limit} samples",
        )


def class_sums(values: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Sums (K, p) of rows (N, p) by class, targets (N,) in 0 to K - 1, always added in the same order."""
    if values.device.type == "cpu":
        return values.new_zeros(classes, values.shape[1]).index_add_(0, targets, values)
    # a product, because index_add on a GPU sums in any order
    return torch.nn.functional.one_hot(targets, classes).to(values.dtype).T @ values


def stratified(labels: Tensor, limit: int, seed: int) -> Tensor:
    """Ascending rows of a seeded draw without replacement; classes keep their shares to within one."""
    _, targets, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    quotas = counts * limit // len(labels)
    remainders = counts * limit % len(labels)  # the largest remainders get one row more
    quotas[torch.argsort(remainders, descending=True, stable=True)[: limit - int(quotas.sum())]] += 1
    # a draw from a draw, which has fewer rows, is another one
    draw = generator(seed, Stream.SUBSAMPLE, len(labels))
    shuffle = torch.randperm(len(labels), generator=draw).to(labels.device)
    order = shuffle[torch.argsort(targets[shuffle], stable=True)]
    first = counts.cumsum(0) - counts
    positions = torch.arange(len(labels), device=labels.device) - first[targets[order]]
    return order[positions < quotas[targets[order]]].sort().values
