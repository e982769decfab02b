"""ImageStore: decoded, resized images on disk, read without loading them all."""

import hashlib
import json
import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from nctransfer.data.class_names import listed
from nctransfer.data.settings import Geometry
from nctransfer.storage.stores import Store, array_file

logger = logging.getLogger(__name__)


class ImageStore:
    """One split at one geometry (``prepare_images``); StoreError if missing, of another kind or altered."""

    def __init__(self, manifest: Path) -> None:
        self._store = Store(Path(manifest), "images")
        self.manifest = self._store.manifest  # source, provenance, counts, subset, ...
        self.class_names: tuple[str, ...] = tuple(self.manifest["class_names"])  # in the order of the labels
        logger.info("%s: %d classes: %s", manifest, len(self.class_names), listed(self.class_names))
        height, width = self.manifest["resolution"]
        self.resolution: tuple[int, int] = (height, width)  # of every image

    def __len__(self) -> int:
        return int(self.manifest["files"][array_file("labels")]["shape"][0])

    @cached_property
    def images(self) -> np.ndarray:
        """All images, uint8, shape (N, H, W, 3), memory-mapped and read-only."""
        return self._store.array("images")

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices, int64, shape (N,), in memory."""
        return np.array(self._store.array("labels"))

    @cached_property
    def fingerprint(self) -> str:
        """Digest of images, labels and class names; equal stores have equal fingerprints."""
        files = {Path(name).name: entry["sha256"] for name, entry in self.manifest["files"].items()}
        text = json.dumps([files, list(self.class_names)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def pending(self, geometry: Geometry | None) -> Geometry | None:
        """The geometry that is still to be applied: None where the images were stored at it."""
        return None if self.manifest.get("geometry") is not None else geometry

    def read(self, start: int, stop: int) -> np.ndarray:
        """Images ``start`` to ``stop`` (exclusive), uint8, shape (n, H, W, 3), writable; fewer at the end.

        Reads the file instead of the memory map: pages of a map stay in the resident memory of the process,
        so that reading 150 GB would look like using 150 GB.
        """
        start, stop = min(start, len(self)), min(stop, len(self))
        row = int(np.prod(self.images.shape[1:]))
        with self._store.path(array_file("images")).open("rb") as file:
            file.seek(self.images.offset + start * row)  # type: ignore[attr-defined]
            pixels = np.fromfile(file, np.uint8, (stop - start) * row)
        return pixels.reshape(stop - start, *self.images.shape[1:])

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Read the store once, in order, in blocks of ``size`` images; the last may be smaller."""
        if size < 1:
            raise ValueError(f"batches of {size} images; at least 1 is needed")
        for first in range(0, len(self), size):
            yield self.read(first, first + size)
