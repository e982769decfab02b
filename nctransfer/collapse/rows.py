"""The rows of a feature matrix, class by class, without moving them."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from numpy.typing import NDArray
from torch import Tensor

from nctransfer.collapse.inputs import checked_features, checked_labels
from nctransfer.errors import DegenerateInputError

# A block of rows fits in a CPU core's share of the cache, so that each row is read from
# memory once a pass; a GPU prefers few large kernels.
BLOCK_BYTES = {"cpu": 4 << 20, "cuda": 256 << 20}


@dataclass(frozen=True)
class ClassSortedRows:
    """Rows of a feature matrix, visited class by class.

    Attributes:
        name: what the features are called in messages, for instance ``unit 3 (layer1.2)``.
        features: (N, d), as given.
        labels: (N,) int64, as given.
        order: (N,) row indices sorted by class (stable), or None where the rows are sorted.
        classes: (K,) int64, labels of the classes that have samples, ascending.
        counts: (K,) int64, samples of these classes.
        bounds: K + 1 positions in the sorted rows; class k lies in bounds[k]:bounds[k + 1].
        dropped_classes: number of classes without samples.
    """

    name: str
    features: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)
    order: Tensor | None = field(repr=False)
    classes: Tensor = field(repr=False)
    counts: Tensor = field(repr=False)
    bounds: tuple[int, ...] = field(repr=False)
    dropped_classes: int

    def class_rows(self, index: int) -> Tensor:
        """Rows of the index-th class that has samples, (n_k, d), in the features' dtype."""
        return self._rows(self.bounds[index], self.bounds[index + 1])

    def blocks(self, dtype: torch.dtype) -> Iterator[tuple[Tensor, list[tuple[int, int, int]]]]:
        """Visit all rows once, sorted by class, in blocks that stay in the cache.

        Args:
            dtype: precision that the block is converted to.

        Yields:
            rows (B, d), a scratch copy that the caller may overwrite, and the block's
            segments ``(class index, first row, end row)``.
        """
        samples, width = self.features.shape
        size = block_rows(self.features, dtype)
        scratch = torch.empty(min(size, samples), width, dtype=dtype, device=self.features.device)
        for start in range(0, samples, size):
            stop = min(start + size, samples)
            rows = scratch[: stop - start]
            if self.order is not None and self.features.dtype == dtype:
                torch.index_select(self.features, 0, self.order[start:stop], out=rows)
            else:
                rows.copy_(self._rows(start, stop))
            yield rows, segments(self.bounds, start, stop)

    def _rows(self, start: int, stop: int) -> Tensor:
        if self.order is None:
            return self.features[start:stop]
        return self.features.index_select(0, self.order[start:stop])


def class_sorted_rows(
    features: Tensor | NDArray, labels: Tensor | NDArray, *, classes: int | None, name: str
) -> ClassSortedRows:
    """Sort the rows by class, without moving them; arguments as :func:`class_statistics`.

    Raises:
        DegenerateInputError: see :func:`class_statistics`; the values are not looked at.
    """
    matrix = checked_features(features, name)
    targets = checked_labels(labels, matrix, classes, name)
    order = None if bool((targets[1:] >= targets[:-1]).all()) else torch.argsort(targets, stable=True)
    ordered = targets if order is None else targets[order]
    present, counts = torch.unique_consecutive(ordered, return_counts=True)
    if len(present) < 2:
        raise DegenerateInputError(
            f"{name}: all {len(targets)} samples are of class {int(present[0])}; "
            "collapse needs at least two classes with samples"
        )
    if int(counts.max()) < 2:
        raise DegenerateInputError(
            f"{name}: each of the {len(present)} classes has one sample (the first is class "
            f"{int(present[0])}); collapse needs a class with two"
        )
    allowed = int(present[-1]) + 1 if classes is None else classes
    return ClassSortedRows(
        name=name,
        features=matrix,
        labels=targets,
        order=order,
        classes=present,
        counts=counts,
        bounds=(0, *accumulate(counts.tolist())),
        dropped_classes=allowed - len(present),
    )


def block_rows(features: Tensor, dtype: torch.dtype) -> int:
    """Number of rows of ``features`` in one block of ``dtype``."""
    return max(
        1, BLOCK_BYTES.get(features.device.type, BLOCK_BYTES["cpu"]) // (features.shape[1] * dtype.itemsize)
    )


def product_dtype(features: Tensor) -> torch.dtype:
    """Precision of products over all rows: the features' own, float32 for half types."""
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def segments(bounds: tuple[int, ...], start: int, stop: int) -> list[tuple[int, int, int]]:
    """Cut the sorted rows start:stop at the classes' bounds.

    Returns:
        ``(class index, first row, end row)`` for each class in the block, rows counted from ``start``.
    """
    found = []
    index = bisect_right(bounds, start) - 1
    while index < len(bounds) - 1 and bounds[index] < stop:
        first, end = max(bounds[index], start), min(bounds[index + 1], stop)
        found.append((index, first - start, end - start))
        index += 1
    return found
