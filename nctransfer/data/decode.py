"""Image files, which may come from anywhere, to RGB arrays.

Follows the usual loaders: the first frame, ``convert("RGB")``, no EXIF rotation. Three cases that PIL gets
wrong are corrected: palettes with transparency, grey levels of more than 8 bits, which it clips, and colours
of 16 bits, of which it takes the high bytes. Which value is white there depends on all images of a data set
(``white_level``).
"""

import io
import os
import stat
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from nctransfer.data.settings import BYTES_PER_PIXEL, MAX_MEGAPIXELS

# Suffixes by PIL's names of formats. Others are never tried: some readers start programs (EPS: Ghostscript).
SUFFIXES = {
    "AVIF": ("avif",), "BMP": ("bmp",), "GIF": ("gif",), "JPEG": ("jfif", "jpe", "jpeg", "jpg"),
    "JPEG2000": ("j2k", "jp2"), "PNG": ("png",), "PPM": ("pbm", "pgm", "pnm", "ppm"), "TGA": ("tga",),
    "TIFF": ("tif", "tiff"), "WEBP": ("webp",),
}  # fmt: skip
_IMAGE_SUFFIXES = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
Image.init()
FORMATS = tuple(name for name in SUFFIXES if name in Image.OPEN)  # an older PIL does not know AVIF
# Which images are too large depends on the request for memory (max_megapixels), not on a constant of PIL.
Image.MAX_IMAGE_PIXELS = None


class DeepImageError(Exception):
    """Pixels have more than 8 bits, and the data set's white level is not known yet."""


def is_image_name(name: str) -> bool:
    """Whether the suffix of a file name is that of an image format; the content is checked later."""
    return Path(name).suffix[1:].lower() in _IMAGE_SUFFIXES


def read_file(path: Path, max_megapixels: int = MAX_MEGAPIXELS) -> bytes:
    """The bytes of a file; OSError if not readable.

    ValueError: no regular file (a pipe, a device), or larger than an image of so many megapixels.
    """
    # a pipe without a writer would wait for one
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("not a regular file")
        if status.st_size > max_megapixels * 1_000_000 * BYTES_PER_PIXEL:
            size = f"{status.st_size / 1e6:,.0f} MB"
            raise ValueError(f"{size} are too many for max_megapixels: {max_megapixels}")
        return file.read()


class Picture(NamedTuple):
    """An image as its file holds it."""

    # uint8, shape (H, W, 3); or values of more than 8 bits, at least 0, shape (H, W) for grey and (H, W, 3)
    pixels: np.ndarray
    animated: bool  # it has further frames, which are not used


def eight_bits(pixels: np.ndarray, white_level: float | None) -> np.ndarray:
    """Pixels (H, W, 3) uint8 RGB, contiguous; ``white_level`` becomes 255.

    DeepImageError: more than 8 bits without a ``white_level``. ValueError: a pixel is above it.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if white_level is None:
        raise DeepImageError
    if pixels.max() > white_level:
        raise ValueError(f"a pixel of {pixels.max():g} is above the white level, {white_level:g}")
    if pixels.dtype == np.float64 or pixels.max() >= 1 << 16:
        scaled = _levels(pixels, white_level)
    else:  # without copies of eight bytes a value
        scaled = _levels_of_16_bits(white_level)[pixels]
    return scaled if scaled.ndim == 3 else np.repeat(scaled[..., None], 3, axis=2)


def _levels(values: np.ndarray, white_level: float) -> np.ndarray:
    return np.floor(values * (255 / white_level) + 0.5).astype(np.uint8)


@cache
def _levels_of_16_bits(white_level: float) -> np.ndarray:
    return _levels(np.arange(1 << 16), white_level)


def read_picture(data: bytes, max_megapixels: int = MAX_MEGAPIXELS) -> Picture:
    """Decode the bytes of an image file, of at most so many megapixels.

    Raises:
        ValueError: empty, not an image, truncated, too large, or with values that have no agreed meaning; the
            message does not name the file.
    """
    if not data:
        raise ValueError("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_megapixels * 1_000_000:
                size = f"{image.width} x {image.height} px"
                raise _RefusedError(f"{size}, more than max_megapixels: {max_megapixels}")
            # cameras append previews to photographs (MPO), which are no animation
            animated = getattr(image, "is_animated", False) and image.format != "MPO"
            # of formats that PIL decodes itself: 16 bits a channel, which it would reduce to 8
            is_deep = any(";16" in str(tile.args) for tile in getattr(image, "tile", []))
            is_deep = is_deep and image.mode in ("RGB", "RGBA")
            return Picture(_deep_colours(data, image) if is_deep else _pixels(image), animated)
    except Image.UnidentifiedImageError:
        raise ValueError(f"not an image in a supported format ({', '.join(FORMATS)})") from None
    except _RefusedError as error:
        raise ValueError(str(error)) from None
    # PIL's readers raise many kinds of errors (OSError, SyntaxError, struct.error, IndexError, ...);
    # each of them means that this file cannot be read.
    except Exception as error:
        raise ValueError(
            f"corrupt or truncated ({' '.join(str(error).split()) or type(error).__name__})"
        ) from None


class _RefusedError(Exception):
    """The message of a ValueError that is not one of PIL's."""


def _deep_colours(data: bytes, image: Image.Image) -> np.ndarray:
    if image.format != "PNG":
        raise _RefusedError(f"colours of 16 bits in {image.format} cannot be read; convert it to PNG")
    # imports torch, which few data sets need here
    import torch

    try:
        from torchvision.io import ImageReadMode, decode_png
    except ImportError:
        raise _RefusedError("colours of 16 bits need torchvision.io; convert it to 8 bits") from None
    stored = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    channels = decode_png(stored, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    return channels[..., 0] if channels.shape[2] < 3 else channels[..., :3]


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode == "F" or image.mode.startswith("I"):
        grey = np.asarray(image)
        if not np.isfinite(grey).all():
            raise _RefusedError("pixels that are no finite numbers")
        if grey.min() < 0:
            raise _RefusedError("negative pixels have no agreed meaning")
        return grey.astype(np.float64) if image.mode == "F" else grey
    if image.mode == "P" and "transparency" in image.info:
        return np.array(image.convert("RGBA").convert("RGB"))
    return np.array(image.convert("RGB"))
