"""From a data set entry to image stores: each image is decoded and resized once.

Threads decode the images (PIL and torch release the interpreter lock); the results are put in order and
written to disk block by block, so that memory use does not depend on the size of the data set. One error
names all unreadable images of all splits.
"""

import hashlib
import logging
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from nctransfer import variants
from nctransfer.data import sources
from nctransfer.data.blocks import BLOCK, Block, UnreadableError, prepare
from nctransfer.data.class_names import class_indices, listed
from nctransfer.data.decode import DeepImageError
from nctransfer.data.file_list import PixelDigest, put_files
from nctransfer.data.image_store import ImageStore
from nctransfer.data.keyed_random import Stream, stream_seed
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.settings import (
    DataSetSettings,
    FilesSettings,
    Geometry,
    ImagesJobSettings,
    ReadingSettings,
    SubsetSettings,
)
from nctransfer.data.subset import draw_rows, subset_rows
from nctransfer.data.survey import survey
from nctransfer.errors import DataError
from nctransfer.stamp import Stamp
from nctransfer.storage.stores import ArrayWriter, StoreWriter, create_store

__all__ = ["ImageStore", "prepare_images"]

NAMED = 20  # unreadable files that an error message lists
DARK = 16  # a sixteenth of the range of a pixel; a split without anything brighter is named
LOGGED = 2000  # number of images from which on the log shows progress

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")

_SUBSET = {*SubsetSettings.model_fields, "seed"}  # settings that select images


@dataclass(frozen=True)
class _Subset:
    """Rows of a raw split that go into a store, with their new labels."""

    rows: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]


def prepare_images(
    manifests: Mapping[str, Path], settings: ImagesJobSettings, stamp: Stamp, downloads: Path
) -> None:
    """Write the image stores of a data set at one geometry, by ``"train"`` and ``"test"``.

    A split whose store could not be completed leaves no file under its final name.

    Raises:
        DataError: the data set is missing, does not match the settings, or holds unreadable images (all are
            named), unless these are to be skipped.
    """
    raw, reading = _open(settings, manifests, Path(downloads))
    _check_same_classes(raw)
    if reading.on_error == "skip":
        found = survey(raw, reading.max_megapixels, _threads())
        raw = {split: part.without(found.unusable[split]) for split, part in raw.items()}
        reading = reading.model_copy(update={"white_level": reading.white_level or found.white_level})
    subsets = {split: _subset(raw[split], split, settings) for split in manifests}
    _warn_of_classes(subsets)
    try:
        _write_stores(manifests, raw, subsets, settings, reading, stamp)
    except DeepImageError:
        white_level = survey(raw, reading.max_megapixels, _threads()).white_level
        logger.info("images of more than 8 bits: white is %g", white_level)
        reading = reading.model_copy(update={"white_level": white_level})
        _write_stores(manifests, raw, subsets, settings, reading, stamp)


def _write_stores(
    manifests: Mapping[str, Path],
    raw: Mapping[str, RawSplit],
    subsets: Mapping[str, "_Subset"],
    settings: ImagesJobSettings,
    reading: ReadingSettings,
    stamp: Stamp,
) -> None:
    found: list[str] = []
    for split, manifest in manifests.items():
        try:
            _write_store(Path(manifest), split, raw[split], subsets[split], settings, reading, stamp)
        except ExceptionGroup as group:
            found += map(str, group.exceptions)
    # with validation, both splits report the same problems
    if unreadable := list(dict.fromkeys(found)):
        more = f"\n  ... and {len(unreadable) - NAMED} more" if len(unreadable) > NAMED else ""
        lines = "\n  ".join(unreadable[:NAMED])
        raise DataError(
            f"{len(unreadable)} files cannot be used as images; repair or remove them, or set on_error: skip:"
            f"\n  {lines}{more}"
        )


def _warn_of_classes(subsets: Mapping[str, "_Subset"]) -> None:
    """Warn of classes that are never tested or of which there is a single image to train on."""
    for split, subset in subsets.items():
        counts = np.bincount(subset.labels, minlength=len(subset.class_names))
        lacking = {"no image": counts == 0} | ({"a single image": counts == 1} if split == "train" else {})
        for what, which in lacking.items():
            if names := [subset.class_names[label] for label in np.flatnonzero(which)]:
                logger.warning("%s: %s of the classes %s", split, what, listed(names))


def _open(
    settings: ImagesJobSettings, splits: Iterable[str], downloads: Path
) -> tuple[dict[str, RawSplit], ReadingSettings]:
    """The source split of each split (``validation``'s is the training split), and how its files are read."""
    source: ModuleType = variants.load(sources, settings.source, "read", ["open_split"])
    options = variants.settings_class(sources, settings.source, DataSetSettings).read(
        {"source": settings.source, **settings.options}
    )
    reading = options if isinstance(options, ReadingSettings) else ReadingSettings()
    if settings.validation is None:
        return {split: source.open_split(options, split, downloads) for split in splits}, reading
    return dict.fromkeys(splits, source.open_split(options, "train", downloads)), reading


def _check_same_classes(raw: Mapping[str, RawSplit]) -> None:
    (first, expected), *others = raw.items()
    for split, part in others:
        if part.class_names != expected.class_names:
            pairs = (first, expected, part), (split, part, expected)
            own = {name: sorted(set(a.class_names) - set(b.class_names)) for name, a, b in pairs}
            only = [f"only in {name}: {', '.join(names)}" for name, names in own.items() if names]
            raise DataError(
                f"{first} and {split} split have different classes ({'; '.join(only) or 'in another order'})"
            )


def _subset(raw: RawSplit, split: str, settings: ImagesJobSettings) -> _Subset:
    chosen = class_indices(settings.classes, raw.class_names)
    rows = _rows(raw, split, chosen, settings)
    if not len(rows):
        raise DataError(f"the {split} split has no images of the chosen classes")
    renumbered = np.full(len(raw.class_names), -1, np.int64)
    renumbered[chosen] = np.arange(len(chosen))
    names = tuple(raw.class_names[label] for label in chosen)
    return _Subset(rows, renumbered[raw.labels[rows]], names)


def _rows(raw: RawSplit, split: str, chosen: Sequence[int], settings: ImagesJobSettings) -> np.ndarray:
    seed, validation = settings.seed, settings.validation
    if split == "test" and validation is None:
        seed = stream_seed(seed, Stream.TEST_IMAGES)
        return subset_rows(raw.labels, raw.class_names, chosen, settings.test_per_class, seed)
    drawn, held_out = draw_rows(raw.labels, chosen, settings.count, validation or 0, seed)
    if split == "test":
        return held_out
    return subset_rows(raw.labels, raw.class_names, chosen, settings.per_class, seed, among=drawn)


def _write_store(
    manifest: Path,
    split: str,
    raw: RawSplit,
    subset: _Subset,
    settings: ImagesJobSettings,
    reading: ReadingSettings,
    stamp: Stamp,
) -> None:
    unreadable = [UnreadableError(problem) for problem in raw.problems]
    digests: list[bytes] = []
    stream = isinstance(reading, FilesSettings) and reading.store == "stream" and raw.read is not None
    count, names = len(subset.rows), subset.class_names
    logger.info("%s: %d images of %d classes: %s", split, count, len(names), listed(names))
    animated = 0
    with create_store(manifest, "images", stamp) as writer:
        images = _ImageWriter(writer, len(subset.rows), stream)
        for block in _blocks(raw, subset.rows, settings.geometry, reading, split):
            digests.append(block.digests)
            animated += block.animated
            unreadable += block.unreadable
            if not unreadable:
                unreadable += images.append(block)
        if unreadable:
            raise ExceptionGroup("images that cannot be used", unreadable)
        if images.brightest < DARK:
            logger.warning("%s: no pixel is above %d of 255; is white_level right?", split, images.brightest)
        if animated:
            logger.info("%s: %d images are animated; their first frame is used", split, animated)
        writer.put("labels", subset.labels)
        if stream:
            put_files(writer, [raw.locate(int(row)) for row in subset.rows], b"".join(digests))
            writer.meta["stream"] = {"pixels": images.digest(), "max_megapixels": reading.max_megapixels}
        counts = np.bincount(subset.labels, minlength=len(names))
        writer.meta |= {
            "split": split,
            "source": settings.source,
            "provenance": dict(raw.provenance),
            "checksum": hashlib.sha256(b"".join(digests)).hexdigest(),
            "class_names": list(subset.class_names),
            "counts": counts.tolist(),
            "resolution": images.resolution,
            "geometry": None if settings.geometry is None else settings.geometry.told(),
            "skipped": list(raw.skipped),
            "white_level": reading.white_level,
            "subset": {key: value for key, value in settings.told().items() if key in _SUBSET},
        }


class _ImageWriter:
    """Creates the array when the size of the first image is known; all other images must have that size.

    With ``stream`` the pixels are not kept, only their digest.
    """

    def __init__(self, writer: StoreWriter, count: int, stream: bool) -> None:
        self._writer, self._count, self._stream = writer, count, stream
        self._array: ArrayWriter | PixelDigest | None = None
        self._first = ""
        self.resolution: list[int] = []
        self.brightest = 0  # largest value of a pixel

    def append(self, block: Block) -> list[UnreadableError]:
        """Write a block; returns the images of another size."""
        if not block.images:
            return []
        if self._array is None:
            self.resolution, self._first = list(block.images[0].shape[:2]), block.names[0]
            shape = self._count, *self.resolution, 3
            if self._stream:
                self._array = PixelDigest(shape)
            else:
                self._check_space()
                self._array = self._writer.array("images", shape, np.uint8)
        others = [
            UnreadableError(
                f"{name}: {image.shape[0]} x {image.shape[1]} px, but {self._first} is "
                f"{self.resolution[0]} x {self.resolution[1]}; a geometry that fixes the size is needed"
            )
            for name, image in zip(block.names, block.images, strict=True)
            if list(image.shape[:2]) != self.resolution
        ]
        if not others:
            images = np.stack(block.images)
            self.brightest = max(self.brightest, int(images.max()))
            self._array.append(images)
        return others

    def digest(self) -> str:
        """SHA-256 of the file that the pixels would be in."""
        assert isinstance(self._array, PixelDigest)
        return self._array.hexdigest()

    def _check_space(self) -> None:
        needed = self._count * self.resolution[0] * self.resolution[1] * 3
        free = shutil.disk_usage(self._writer.folder).free
        if needed > free:
            raise DataError(
                f"{self._writer.folder.parent}: the disk is full ({self._count} images of "
                f"{self.resolution[0]} x {self.resolution[1]} px need {needed / 1e6:,.1f} MB, "
                f"{free / 1e6:,.1f} MB are free). Make room and run again"
            )


def _blocks(
    raw: RawSplit, rows: np.ndarray, geometry: Geometry | None, reading: ReadingSettings, split: str
) -> Iterator[Block]:
    parts = [rows[first : first + BLOCK] for first in range(0, len(rows), BLOCK)]
    done, reported = 0, 0 if len(rows) >= LOGGED else 10
    with tqdm(total=len(rows), desc=split, unit="image", disable=None) as bar:
        for block in _in_order(lambda part: prepare(raw, part, geometry, reading), parts):
            yield block
            count = len(block.images) + len(block.unreadable)
            bar.update(count)
            done += count
            if done * 10 // len(rows) > reported:
                reported = done * 10 // len(rows)
                logger.info("%s: %d of %d images", split, done, len(rows))


def _threads() -> int:
    return max(torch.get_num_threads(), 1)  # follows OMP_NUM_THREADS, which a job's threads set


def _in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Map in threads, a few items at a time, with results in order."""
    workers = _threads()
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
