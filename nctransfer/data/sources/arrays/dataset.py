"""Facts about ``.npz`` files for the plan."""

import ast
import zipfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from nctransfer.data.dataset import UNKNOWN, DataSet, DataSetSize, Problem
from nctransfer.data.sources.arrays.settings import ArraysSettings


class ArraysDataSet(DataSet[ArraysSettings]):
    """Arrays in `.npz` files: `images` (uint8), `labels`, optionally `class_names`."""

    needed = ("train", "path")
    paths = ("path", "train", "test")

    @property
    def has_fixed_size(self) -> bool:
        """Always: an array holds images of one size."""
        return True

    def whole_size(self) -> DataSetSize | None:
        """Read from the headers of the arrays; the number of classes is unknown, as labels are not read."""
        shapes = [_shape(path) for path in (self.entry.train, self.entry.test, self.entry.path) if path]
        if not shapes or None in shapes:
            return None
        train, *others = (shape for shape in shapes if shape is not None)
        classes = len(self.entry.classes or ()) or UNKNOWN.classes
        return DataSetSize(train[0], others[0][0] if others else 0, classes, pixels=(train[1], train[2]))

    def class_count(self) -> int | None:
        """Known only where classes are chosen."""
        return len(self.entry.classes) if self.entry.classes else None

    def source_problems(self) -> Iterator[Problem]:
        """Files that are missing or do not match."""
        for key in ("train", "test", "path"):
            path = getattr(self.entry, key)
            if path is not None and not Path(path).expanduser().is_file():
                yield (key,), f"{path!r} is not a file"
        if self.entry.train is not None and self.entry.test is None:
            needed = "source arrays needs 'test' beside 'train'"
            yield (), f"{needed}; or one file as 'path', with a 'test_fraction'"
        if self.entry.path is not None and self.entry.test_fraction is None:
            yield (), "source arrays with one file as 'path' needs a 'test_fraction'"


DATA_SET = ArraysDataSet


@lru_cache(maxsize=64)
def _shape(path: str) -> tuple[int, int, int] | None:
    """Shape (N, H, W) of the images of an ``.npz`` file, from the array's header; None without one."""
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as archive, archive.open("images.npy") as file:
            header = file.read(1024)
            start = header.index(b"{")
            described = header[start : header.index(b"}", start) + 1].decode("latin-1")
            count, height, width, *_ = ast.literal_eval(described)["shape"]
    except (OSError, KeyError, ValueError, SyntaxError, zipfile.BadZipFile):
        return None
    return int(count), int(height), int(width)
