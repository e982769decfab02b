"""Blocks of images: read, checked, decoded and resized, for a store or on the fly."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from nctransfer.data.decode import eight_bits, read_picture
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.resize import apply_geometry
from nctransfer.data.settings import Geometry, ReadingSettings

BLOCK = 32  # images that one thread prepares at a time: 5 MB at 224 px, 14 MB at 384 px


class UnreadableError(Exception):
    """An image that cannot be used; the message names it."""


@dataclass(frozen=True)
class Block:
    """Images ready to be written, and the errors of those that could not be read."""

    images: list[np.ndarray]  # uint8, each (H, W, 3)
    names: list[str]
    digests: bytes
    unreadable: list[UnreadableError]
    animated: int


def prepare(raw: RawSplit, rows: np.ndarray, geometry: Geometry | None, reading: ReadingSettings) -> Block:
    """Read and shape some rows of a split; what cannot be used is named in the block."""
    if raw.images is not None:
        images = np.ascontiguousarray(raw.images[rows])
        digests = b"".join(hashlib.sha256(image.data).digest() for image in images)
        return Block(list(_shaped(images, geometry)), [raw.locate(int(row)) for row in rows], digests, [], 0)
    assert raw.read is not None
    prepared: list[np.ndarray] = []
    names, unreadable, digests, animated = [], [], b"", 0
    for row in map(int, rows):
        name = raw.locate(row)
        try:
            data = raw.read(row)
            picture = read_picture(data, reading.max_megapixels)
            image = eight_bits(picture.pixels, reading.white_level)
        except OSError as error:
            unreadable.append(UnreadableError(f"{name}: {error.strerror or error}"))
        except ValueError as error:
            unreadable.append(UnreadableError(f"{name}: {error}"))
        else:
            digests += hashlib.sha256(data).digest()
            animated += picture.animated
            prepared.append(_shaped(image[None], geometry)[0])
            names.append(name)
    return Block(prepared, names, digests, unreadable, animated)


def _shaped(pixels: np.ndarray, geometry: Geometry | None) -> np.ndarray:
    """Apply a geometry to uint8 arrays (n, H, W, 3)."""
    if geometry is None:
        return pixels
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    return apply_geometry(images, geometry).permute(0, 2, 3, 1).contiguous().numpy()
