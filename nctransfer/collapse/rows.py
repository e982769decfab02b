"""The rows of a feature matrix, class by class, without copying the matrix."""

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from typing import TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from nctransfer.collapse.inputs import checked_features, checked_labels
from nctransfer.errors import DegenerateInputError

# A block of rows fits in the cache of a CPU core, so that each row is read from memory once per pass; a
# GPU prefers few large kernels.
BLOCK_BYTES = {"cpu": 4 << 20, "cuda": 256 << 20}

# Numbers of features up to which products are float64: they are cheap there, and the rounding of float32 sums
# averages out only over many rows.
SMALL = 1 << 20

# Numbers of features of a class that are in memory at once, 256 MB of float32.
CLASS_BLOCK = 1 << 26

R = TypeVar("R")
Segment = tuple[int, int, int]
"""Class index, first row and end row in a block."""


@dataclass(frozen=True)
class ClassSortedRows:
    """Rows of a feature matrix, visited class by class."""

    name: str  # of the features in messages, for instance ``unit 3 (layer1.2)``
    features: Tensor = field(repr=False)  # (N, d), as passed
    dtype: torch.dtype  # in which they count: their own, or a wider one
    labels: Tensor = field(repr=False)  # (N,) int64, as passed
    # (N,) row indices sorted by class (stable), or None where the rows are sorted
    order: Tensor | None = field(repr=False)
    classes: Tensor = field(repr=False)  # (K,) int64, labels of the classes that have samples, ascending
    counts: Tensor = field(repr=False)  # (K,) int64, samples of these classes
    # K + 1 positions in the sorted rows; class k is in bounds[k]:bounds[k + 1]
    bounds: tuple[int, ...] = field(repr=False)
    dropped_classes: int  # number of classes without samples

    @property
    def product_dtype(self) -> torch.dtype:
        """Precision of products over all rows: float64 for few or float64 features, else float32."""
        exact = self.dtype == torch.float64 or self.features.numel() <= SMALL
        return torch.float64 if exact else torch.float32

    def class_rows(self, index: int) -> Tensor:
        """Rows of the index-th class that has samples, (n_k, d), in the features' dtype."""
        return self._rows(self.bounds[index], self.bounds[index + 1])

    def class_blocks(self, index: int) -> Iterator[Tensor]:
        """The same rows in blocks of at most :data:`CLASS_BLOCK` numbers."""
        step, end = max(1, CLASS_BLOCK // self.features.shape[1]), self.bounds[index + 1]
        for start in range(self.bounds[index], end, step):
            yield self._rows(start, min(start + step, end))

    def map_blocks(
        self, dtype: torch.dtype, function: Callable[[Tensor, list[Segment]], R], size: int | None = None
    ) -> list[R]:
        """Visit all rows once, sorted by class, in blocks (by default of a size that stays in the cache).

        The function gets a block (B, d), a scratch copy in ``dtype`` that it may overwrite, and its segments.
        On the CPU blocks are processed in parallel, one thread each: a block is too small for several
        threads. The results are in the order of the rows and do not depend on the number of threads.
        """
        samples, width = self.features.shape
        size = size or block_rows(self.features, dtype)
        local = threading.local()

        def visit(start: int) -> R:
            stop = min(start + size, samples)
            if not hasattr(local, "scratch"):
                # of both dtypes: a new tensor for each block would leave gaps that no other block fits into
                empty = partial(torch.empty, min(size, samples), width, device=self.features.device)
                local.scratch = empty(dtype=dtype)
                local.rows = (
                    local.scratch if self.features.dtype == dtype else empty(dtype=self.features.dtype)
                )
            block, rows = local.scratch[: stop - start], local.rows[: stop - start]
            if self.order is None:
                block.copy_(self.features[start:stop])
            else:
                torch.index_select(self.features, 0, self.order[start:stop], out=rows)
                if rows.dtype != dtype:
                    block.copy_(rows)
            return function(block, segments(self.bounds, start, stop))

        starts = range(0, samples, size)
        threads = torch.get_num_threads()
        if self.features.device.type != "cpu" or threads == 1 or len(starts) == 1:
            return [visit(start) for start in starts]
        with one_thread_per_operation(), ThreadPoolExecutor(threads) as pool:
            return list(pool.map(visit, starts))

    def _rows(self, start: int, stop: int) -> Tensor:
        if self.order is None:
            return self.features[start:stop]
        return self.features.index_select(0, self.order[start:stop])


def class_sorted_rows(
    features: Tensor | NDArray,
    labels: Tensor | NDArray,
    *,
    classes: int | None,
    name: str,
    dtype: torch.dtype | None = None,
) -> ClassSortedRows:
    """The rows sorted by class, neither copied nor checked for finite values."""
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
        dtype=dtype or matrix.dtype,
        labels=targets,
        order=order,
        classes=present,
        counts=counts,
        bounds=(0, *accumulate(counts.tolist())),
        dropped_classes=allowed - len(present),
    )


def block_rows(features: Tensor, dtype: torch.dtype) -> int:
    """Number of rows of ``features`` in one block of ``dtype``."""
    size = BLOCK_BYTES.get(features.device.type, BLOCK_BYTES["cpu"])
    return max(1, size // (features.shape[1] * dtype.itemsize))


@contextmanager
def one_thread_per_operation() -> Iterator[None]:
    """Run torch's operations on the calling thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # inherited by threads that start from now on
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def segments(bounds: tuple[int, ...], start: int, stop: int) -> list[Segment]:
    """Cut the sorted rows start:stop at the bounds of the classes; rows are counted from ``start``."""
    cut: list[Segment] = []
    index = bisect_right(bounds, start) - 1
    while index < len(bounds) - 1 and bounds[index] < stop:
        first, end = max(bounds[index], start), min(bounds[index + 1], stop)
        cut.append((index, first - start, end - start))
        index += 1
    return cut
