"""Arrays in ``.npz`` files: ``images`` (uint8, NHWC or grey NHW), ``labels``, optional ``class_names``."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from nctransfer.data.raw_split import RawSplit, check_labels
from nctransfer.data.sources.arrays.settings import ArraysSettings
from nctransfer.data.subset import split_by_fraction
from nctransfer.errors import DataError
from nctransfer.storage.files import file_checksum
from nctransfer.suggestions import suggestion


@dataclass(frozen=True)
class _Pack:
    path: Path
    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...] | None


def open_split(options: ArraysSettings, split: str, root: Path) -> RawSplit:
    """Open one split of a pair of files, or of one file that is split here; ``root`` is not used.

    DataError: a file is missing or broken, or its arrays have the wrong kind or shape.
    """
    if options.path is not None:
        assert options.test_fraction is not None  # checked with the configuration
        pack = _read(Path(options.path).expanduser())
        names = pack.class_names or _numbered(pack)
        check_labels(pack.labels, len(names), f"{pack.path}: labels")
        parts = split_by_fraction(pack.labels, len(names), options.test_fraction, options.split_seed or 0)
        rows = parts[split == "test"]
        return _split(pack, names, options, pack.images[rows], pack.labels[rows])
    assert options.train is not None
    assert options.test is not None
    files = Path(options.train).expanduser(), Path(options.test).expanduser()
    path, other = files if split == "train" else reversed(files)
    pack = _read(path)
    names = _common_names(pack, other)
    check_labels(pack.labels, len(names), f"{pack.path}: labels")
    return _split(pack, names, options, pack.images, pack.labels)


def _split(
    pack: _Pack, names: tuple[str, ...], options: ArraysSettings, images: np.ndarray, labels: np.ndarray
) -> RawSplit:
    return RawSplit(
        labels=labels.astype(np.int64),
        class_names=names,
        provenance={"options": options.options(), "file": pack.path.name, "sha256": file_checksum(pack.path)},
        images=images,
        locate=lambda row: f"{pack.path}, image {row}",
    )


def _common_names(pack: _Pack, other: Path) -> tuple[str, ...]:
    """Class names of both splits; one file or both may lack them."""
    with _opened(other) as opened:
        labels, names = _labels_and_names(other, opened)
    if pack.class_names is not None and names is not None and pack.class_names != names:
        raise DataError(f"{pack.path} and {other}: class_names differ: {pack.class_names} and {names}")
    return pack.class_names or names or _numbered(pack, int(labels.max(initial=-1)))


def _numbered(pack: _Pack, at_least: int = -1) -> tuple[str, ...]:
    return tuple(str(label) for label in range(max(int(pack.labels.max(initial=-1)), at_least) + 1))


def _read(path: Path) -> _Pack:
    with _opened(path) as opened:
        labels, names = _labels_and_names(path, opened)
        images = _required(path, opened, "images")
    if images.dtype != np.uint8:
        raise DataError(f"{path}: images must be uint8 (0 to 255), not {images.dtype}")
    shape = images.shape
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim == 4 and images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    if images.ndim != 4 or images.shape[-1] != 3:
        hint = "; channels come last here" if images.ndim == 4 and shape[1] in (1, 3) else ""
        raise DataError(f"{path}: images must have shape (N, H, W, 3) or, grey, (N, H, W), not {shape}{hint}")
    if len(images) != len(labels):
        raise DataError(f"{path}: {len(images)} images, but {len(labels)} labels")
    if not images.size:
        raise DataError(f"{path}: images have shape {shape}: there is nothing in them")
    return _Pack(path, images, labels, names)


def _labels_and_names(path: Path, pack: NpzFile) -> tuple[np.ndarray, tuple[str, ...] | None]:
    labels = _required(path, pack, "labels")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        kind = f"{labels.dtype} {labels.shape}"
        raise DataError(f"{path}: labels must be whole numbers of shape (N,), not {kind}")
    names = tuple(map(str, pack["class_names"].tolist())) if "class_names" in pack.files else None
    return labels, names


def _required(path: Path, pack: NpzFile, key: str) -> np.ndarray:
    if key not in pack.files:
        raise DataError(
            f"{path}: no array {key!r}{suggestion(key, pack.files)}; there are {', '.join(pack.files)}"
        )
    return pack[key]


@contextmanager
def _opened(path: Path) -> Iterator[NpzFile]:
    """Open an ``.npz`` file without unpickling; any failure is a DataError."""
    try:
        pack = np.load(path, allow_pickle=False)
        if not isinstance(pack, NpzFile):
            raise DataError(f"{path}: a single array; an .npz file with images and labels is needed")
        with pack:
            yield pack
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        pickled = "allow_pickle" in str(error)
        reason = "not an .npz file of plain arrays (pickled objects are not read)" if pickled else str(error)
        raise DataError(f"{path}: cannot be read: {reason}") from None
