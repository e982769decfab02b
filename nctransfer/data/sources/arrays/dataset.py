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
        """Read from the headers of the arrays; labels are not read, so without names classes are unknown."""
        shapes = [
            _shape(path, "images") for path in (self.entry.train, self.entry.test, self.entry.path) if path
        ]
        if not shapes or not all(len(shape) >= 3 for shape in shapes):
            return None
        train, *others = shapes
        classes = self._names or len(self.entry.classes or ()) or UNKNOWN.classes
        return DataSetSize(train[0], others[0][0] if others else 0, classes, pixels=(train[1], train[2]))

    def class_count(self) -> int | None:
        """Known where classes are chosen or named."""
        return len(self.entry.classes or ()) or self._names or None

    @property
    def _names(self) -> int:
        """Number of named classes; 0 without names."""
        names = _shape(self.entry.train or self.entry.path or "", "class_names")
        return names[0] if names else 0

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


@lru_cache(maxsize=128)
def _shape(path: str, name: str) -> tuple[int, ...]:
    """Shape of an array in an ``.npz`` file, from its header; () without one."""
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as archive, archive.open(f"{name}.npy") as file:
            header = file.read(1024)
            start = header.index(b"{")
            described = header[start : header.index(b"}", start) + 1].decode("latin-1")
            return tuple(map(int, ast.literal_eval(described)["shape"]))
    except (OSError, KeyError, ValueError, SyntaxError, zipfile.BadZipFile):
        return ()
