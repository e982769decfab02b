"""Stores: folders with a manifest that describes the files beside it.

The manifest decides about reruns; the rules declare what lies beside it as well, so that a storage plugin
moves the whole of a store (docs/architecture.md).

A store is built in a temporary folder next to its final place and renamed when it is complete. Its
``manifest.json`` contains the SHA-256 of every file, so that a changed byte is detected when the store is
read. Nothing in a manifest depends on the time, the host or the number of threads: the same job writes the
same bytes.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.lib import format as npy

from nctransfer.errors import StoreError
from nctransfer.stamp import UNSTAMPED, Stamp
from nctransfer.storage.files import file_checksum, sync

MANIFEST = "manifest.json"
ARRAYS = "arrays"


class HashingFile:
    """A binary file whose digest is computed while it is written, without reading it again."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append ``data``; return the number of bytes, like file objects."""
        view = memoryview(data).cast("B")
        self._file.write(view)
        self._digest.update(view)
        self._size += view.nbytes
        return view.nbytes

    def close(self) -> dict[str, Any]:
        """Flush to disk; return ``{"sha256", "bytes"}``."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {"sha256": self._digest.hexdigest(), "bytes": self._size}


def array_file(name: str) -> str:
    """Path of an array in its store."""
    return f"{ARRAYS}/{name}.npy"


class ArrayWriter:
    """A ``.npy`` file that grows by blocks of rows; memory holds only one block."""

    def __init__(self, path: Path, shape: Sequence[int], dtype: np.dtype) -> None:
        self.path, self.shape, self.dtype = path, tuple(shape), np.dtype(dtype)
        self._file = HashingFile(path)
        self._rows = 0
        header = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        npy.write_array_header_1_0(self._file, header)

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows, shape (n, *shape[1:]), converted to the array's dtype."""
        if rows.shape[1:] != self.shape[1:] or self._rows + len(rows) > self.shape[0]:
            raise StoreError(
                f"{self.path.name}: rows {self._rows}..{self._rows + len(rows)} of shape "
                f"{rows.shape[1:]} do not fit an array of shape {self.shape}"
            )
        if len(rows):
            self._file.write(np.ascontiguousarray(rows, dtype=self.dtype).data)
        self._rows += len(rows)

    def close(self) -> dict[str, Any]:
        """Return the manifest's entry; StoreError if rows are missing."""
        if self._rows != self.shape[0]:
            raise StoreError(f"{self.path.name}: {self._rows} rows written of {self.shape[0]}")
        return self._file.close() | {"shape": list(self.shape), "dtype": self.dtype.str}


class StoreWriter:
    """A store under construction; see :func:`create_store`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._arrays: dict[str, ArrayWriter] = {}
        self.files: list[str] = []
        self.meta: dict[str, Any] = {}

    def array(self, name: str, shape: Sequence[int], dtype: Any) -> ArrayWriter:
        """Start an array, to be written in blocks."""
        writer = ArrayWriter(self._place(array_file(name)), shape, np.dtype(dtype))
        self._arrays[name] = writer
        return writer

    def put(self, name: str, array: np.ndarray) -> None:
        """Write a whole array at once."""
        self.array(name, array.shape, array.dtype).append(array)

    def file(self, name: str) -> Path:
        """Register a file that the caller writes itself; return its path, in an existing folder."""
        self.files.append(name)
        return self._place(name)

    def _place(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        return path

    def finish(self) -> dict[str, Any]:
        """Close all arrays; return the ``files`` part of the manifest."""
        files = {array_file(name): writer.close() for name, writer in self._arrays.items()}
        for name in self.files:
            path = self.folder / name
            files[name] = {"sha256": file_checksum(path), "bytes": path.stat().st_size}
        return files


@contextmanager
def create_store(manifest: Path, kind: str, stamp: Stamp = UNSTAMPED) -> Iterator[StoreWriter]:
    """Build a store, the folder of ``.../manifest.json``, that appears there only when it is complete.

    ``kind`` says what it contains (``images``, ``features``, ...) and is checked when it is opened. Yields a
    writer; plain JSON values in ``writer.meta`` are written into the manifest. StoreError if an array is
    incomplete; any error leaves nothing under the final name.
    """
    manifest = Path(manifest)
    final = manifest.parent
    final.parent.mkdir(parents=True, exist_ok=True)
    for leftover in final.parent.glob(f".{final.name}.partial-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    partial = final.parent / f".{final.name}.partial-{os.getpid()}"
    partial.mkdir()
    try:
        writer = StoreWriter(partial)
        yield writer
        contents = {"kind": kind, "stamp": stamp.to_json(), **writer.meta, "files": writer.finish()}
        (partial / manifest.name).write_text(json.dumps(contents, indent=1, sort_keys=True) + "\n")
        for name in (*writer.files, manifest.name):
            sync(partial / name)
        for path in filter(Path.is_dir, partial.iterdir()):
            sync(path)
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        sync(final.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class Store:
    """A finished store; arrays are verified and mapped on request. StoreError: unreadable or another kind."""

    def __init__(self, manifest: Path, kind: str) -> None:
        self.manifest_path = Path(manifest)
        self.folder = self.manifest_path.parent
        try:
            self.manifest: Mapping[str, Any] = json.loads(self.manifest_path.read_text())
        except FileNotFoundError:
            raise StoreError(f"{manifest}: no such store; it was not made or not completed") from None
        except ValueError as error:  # neither text nor JSON
            raise StoreError(f"{manifest}: not a manifest ({error}); delete it and run again") from None
        if not isinstance(self.manifest, dict):
            raise StoreError(f"{manifest}: not a manifest; delete it and run again")
        if self.manifest.get("kind") != kind:
            raise StoreError(f"{manifest}: a store of {self.manifest.get('kind')!r}, not of {kind!r}")
        if not isinstance(self.manifest.get("files"), dict):
            raise StoreError(f"{manifest}: lists no files; delete it and run again")
        self._verified: set[str] = set()

    @property
    def stamp(self) -> Stamp:
        """What made the store; StoreError if the manifest has no stamp."""
        try:
            return Stamp.from_json(self.manifest["stamp"])
        except (KeyError, TypeError, AttributeError):
            raise StoreError(f"{self.manifest_path}: carries no stamp; delete it and run again") from None

    def path(self, name: str) -> Path:
        """Path of a file of the store, verified once; StoreError: there is none, or its bytes changed."""
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise StoreError(f"{self.folder}: no file {name!r}; there are {sorted(self.manifest['files'])}")
        path = self.folder / name
        if name not in self._verified:
            if not path.is_file():
                raise StoreError(f"{path}: missing; delete {self.manifest_path} and run again")
            if path.stat().st_size != entry["bytes"] or file_checksum(path) != entry["sha256"]:
                raise StoreError(
                    f"{path}: its bytes differ from the checksum in {self.manifest_path.name}; "
                    f"delete {self.manifest_path} and run again to rebuild it"
                )
            self._verified.add(name)
        return path

    def array(self, name: str) -> np.ndarray:
        """One of the store's arrays, memory-mapped and read-only."""
        return np.load(self.path(array_file(name)), mmap_mode="r", allow_pickle=False)

    def verify(self) -> Self:
        """Check every file against its checksum."""
        for name in self.manifest["files"]:
            self.path(name)
        return self
