"""Image stores without pixels: the files in their place, each with its SHA-256."""

import hashlib
import os
from collections.abc import Sequence

import numpy as np
from numpy.lib import format as npy

from nctransfer.storage.stores import StoreWriter


class PixelDigest:
    """SHA-256 of the ``.npy`` file of an array that is not written, shape (N, H, W, 3), uint8."""

    def __init__(self, shape: Sequence[int]) -> None:
        self._digest = hashlib.sha256()
        header = {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)}
        npy.write_array_header_1_0(self, header)

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self._digest.update(data)

    def append(self, rows: np.ndarray) -> None:
        """Take the next images, (n, H, W, 3)."""
        self._digest.update(np.ascontiguousarray(rows).data)

    def hexdigest(self) -> str:
        """The digest."""
        return self._digest.hexdigest()


def put_files(writer: StoreWriter, files: Sequence[str], digests: bytes) -> None:
    """Write N paths, as bytes padded with zeros to one length, and their digests (32 bytes each)."""
    names = np.array([os.fsencode(file) for file in files])
    writer.put("files", names.view(np.uint8).reshape(len(files), -1))
    writer.put("digests", np.frombuffer(digests, np.uint8).reshape(len(files), -1))
