"""One split of a data set as its source provides it: labels, names, and images before resizing."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nctransfer.data.class_names import plain
from nctransfer.errors import DataError


@dataclass(frozen=True)
class RawSplit:
    """A split before subset and geometry, in one array or read one by one; DataError if fields disagree."""

    labels: np.ndarray  # int64, shape (N,), each in 0..K-1
    class_names: tuple[str, ...]  # K distinct names, in the order of the labels
    provenance: Mapping[str, Any]  # what was read, as plain JSON values, for the manifest
    images: np.ndarray | None = None  # uint8, shape (N, H, W, 3), if all images have one size
    read: Callable[[int], bytes] | None = None  # gives the encoded bytes of image i, where there is no array
    locate: Callable[[int], str] = "image {}".format  # names image i in messages; the path of a file
    problems: tuple[str, ...] = ()  # a first check's errors, one a file, beside images that cannot be decoded
    skipped: tuple[str, ...] = ()  # names of files that were left out because they cannot be used

    def __post_init__(self) -> None:
        if (self.images is None) == (self.read is None):
            raise TypeError("a split holds either images or a way to read them")
        object.__setattr__(self, "class_names", tuple(map(plain, self.class_names)))
        check_labels(self.labels, len(self.class_names), "labels")
        if self.images is not None and len(self.images) != len(self.labels):
            raise DataError(f"{len(self.images)} images, but {len(self.labels)} labels")
        if repeated := sorted(name for name, count in Counter(self.class_names).items() if count > 1):
            raise DataError(f"class names occur more than once: {', '.join(map(repr, repeated))}")

    def __len__(self) -> int:
        return len(self.labels)

    def without(self, unusable: Collection[int]) -> "RawSplit":
        """The split without some rows; these and the problems of the first check become what was skipped."""
        skipped = (*self.problems, *map(self.locate, unusable))
        if not unusable:
            return replace(self, problems=(), skipped=skipped)
        rows = np.setdiff1d(np.arange(len(self)), list(unusable))
        read, locate = self.read, self.locate
        assert read is not None  # arrays have no rows that cannot be read
        return replace(
            self,
            labels=self.labels[rows],
            read=lambda row: read(int(rows[row])),
            locate=lambda row: locate(int(rows[row])),
            problems=(),
            skipped=skipped,
        )


def check_labels(labels: np.ndarray, classes: int, where: str) -> None:
    """Raise DataError, naming ``where`` and the row, for labels that are not integers in 0..classes-1."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(f"{where}: must be whole numbers of shape (N,), not {labels.dtype} {labels.shape}")
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(bad):
        raise DataError(
            f"{where}: label {labels[bad[0]]} in row {bad[0]} (and {len(bad) - 1} more) is out of range; "
            f"{classes} classes allow 0 to {classes - 1}"
        )
