"""Images that are decoded while they are read, for consumers that read them once, in order."""

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from nctransfer.data.blocks import BLOCK, prepare
from nctransfer.data.decode import read_file
from nctransfer.data.image_store import ImageStore
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.settings import Geometry, ReadingSettings
from nctransfer.errors import DataError
from nctransfer.storage.stores import Store, array_file


def open_images(manifest: Path) -> ImageStore:
    """The images of a split, stored or streamed; StoreError as for :class:`ImageStore`."""
    streamed = "stream" in Store(manifest, "images").manifest
    return StreamedImages(manifest) if streamed else ImageStore(manifest)


class StreamedImages(ImageStore):
    """One split of which the store lists the files; the pixels are those that it would contain."""

    def __init__(self, manifest: Path) -> None:
        super().__init__(manifest)
        self._next = 0  # row that the decoded images continue with
        self._blocks: Iterator[np.ndarray | str] | None = None
        self._rest = np.empty((0, *self.resolution, 3), np.uint8)  # decoded, and not read yet

    @cached_property
    def fingerprint(self) -> str:
        """That of the store with the pixels."""
        labels = self.manifest["files"][array_file("labels")]["sha256"]
        files = {"images.npy": self.manifest["stream"]["pixels"], "labels.npy": labels}
        text = json.dumps([files, list(self.class_names)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self, start: int, stop: int) -> np.ndarray:
        """As the store with the pixels; reading on from the last ``stop`` decodes nothing twice.

        DataError: a file has changed since it was listed, or is gone.
        """
        start, stop = min(start, len(self)), min(stop, len(self))
        if start >= stop:
            return np.empty((0, *self.resolution, 3), np.uint8)
        if self._blocks is None or start != self._next:
            self._blocks, self._rest = self._decode(start), self._rest[:0]
        parts, count = [self._rest], len(self._rest)
        while count < stop - start:
            block = next(self._blocks)
            if isinstance(block, str):
                raise DataError(block)
            parts.append(block)
            count += len(block)
        images = np.concatenate(parts)
        self._next, self._rest = stop, images[stop - start :].copy()
        if stop == len(self):  # ends the worker processes
            self._blocks = None
        return images[: stop - start]

    def _decode(self, start: int) -> Iterator[np.ndarray | str]:
        """Blocks of images from a row on, by as many worker processes as this one has threads."""
        files = _Files(self._store.array("files"), self._store.array("digests"), self.manifest)
        blocks = [range(first, min(first + BLOCK, len(self))) for first in range(start, len(self), BLOCK)]
        loader = DataLoader(
            files,
            batch_size=None,
            sampler=blocks,
            num_workers=min(torch.get_num_threads(), len(blocks)),
            collate_fn=_unchanged,  # arrays: tensors would need as much of /dev/shm, which containers lack
            multiprocessing_context="fork",  # others would run the job's script again
            generator=torch.Generator(),
            worker_init_fn=_end_with_parent,
        )
        # forked by a thread of concurrent.futures, processes would wait for that thread: for themselves
        with ThreadPool(1) as starter:
            return starter.apply(iter, (loader,))


def _end_with_parent(_: int) -> None:
    """Let a worker end at once with a killed job, instead of waiting for somebody to take its images."""

    def watch() -> None:
        if (parent := multiprocessing.parent_process()) is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _unchanged(block: Any) -> Any:
    return block


class _Files(Dataset[np.ndarray | str]):
    """Blocks of images by their rows, (n, H, W, 3) uint8; a text says which files cannot be used."""

    def __init__(self, files: np.ndarray, digests: np.ndarray, manifest: Mapping[str, Any]) -> None:
        self._files, self._digests = files, digests
        geometry = manifest["geometry"]
        self._geometry = None if geometry is None else Geometry.read(geometry)
        self._reading = ReadingSettings(
            white_level=manifest["white_level"], max_megapixels=manifest["stream"]["max_megapixels"]
        )
        labels = np.zeros(len(files), np.int64)
        self._split = RawSplit(labels, ("any",), {}, read=self._read, locate=self._path)

    def __getitem__(self, rows: Sequence[int]) -> np.ndarray | str:
        block = prepare(self._split, np.asarray(rows), self._geometry, self._reading)
        if block.unreadable:
            return "; ".join(map(str, block.unreadable))
        return np.stack(block.images)

    def _path(self, row: int) -> str:
        return os.fsdecode(self._files[row].tobytes().rstrip(b"\0"))

    def _read(self, row: int) -> bytes:
        data = read_file(Path(self._path(row)), self._reading.max_megapixels)
        if hashlib.sha256(data).digest() != self._digests[row].tobytes():
            raise ValueError("changed since its data set was listed; run again")
        return data
