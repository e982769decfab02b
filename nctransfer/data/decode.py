"""Image files, which may come from anywhere, to RGB arrays.

Follows the usual loaders: the first frame, ``convert("RGB")``, no EXIF rotation. Two cases that ``convert``
gets wrong are corrected: palettes with transparency, and grey levels of more than 8 bits, which it clips.
Which of these is white depends on all images of a data set (``white_level``).
"""

import io
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from nctransfer.data.settings import BYTES_PER_PIXEL, MAX_MEGAPIXELS

_IMAGE_SUFFIX = re.compile(
    r"\.(avif|bmp|gif|j2k|jfif|jp2|jpe|jpeg|jpg|pbm|pgm|png|pnm|ppm|tga|tif|tiff|webp)", re.IGNORECASE
)
# PIL's names of these formats; others are never tried, since some readers start programs (EPS: Ghostscript).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TGA", "TIFF", "WEBP")
# PIL's own limit, which only warns, is that of the caller here.
Image.MAX_IMAGE_PIXELS = None


class DeepImageError(Exception):
    """Pixels have more than 8 bits, and the data set's white level is not known yet."""


def is_image_name(name: str) -> bool:
    """Whether the suffix of a file name is that of an image format; the content is checked later."""
    return _IMAGE_SUFFIX.fullmatch(Path(name).suffix) is not None


def read_file(path: Path, max_megapixels: int = MAX_MEGAPIXELS) -> bytes:
    """The bytes of a file.

    Raises:
        ValueError: no regular file (a pipe, a device), or larger than an image of so many megapixels.
        OSError: not readable.
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

    pixels: np.ndarray  # uint8, shape (H, W, 3); or grey levels of more than 8 bits, shape (H, W), at least 0
    animated: bool  # it has further frames, which are not used


def decode(data: bytes, white_level: float | None = None, max_megapixels: int = MAX_MEGAPIXELS) -> np.ndarray:
    """Decode the bytes of an image file.

    Args:
        data: contents of the file.
        white_level: grey value, of images of more than 8 bits, that becomes 255.
        max_megapixels: largest image that is decoded.

    Returns:
        uint8, shape (H, W, 3), RGB, contiguous.

    Raises:
        ValueError: empty, not an image, truncated, too large, or with values that have no agreed meaning; the
            message does not name the file.
        DeepImageError: more than 8 bits, without a ``white_level``.
    """
    return eight_bits(read_picture(data, max_megapixels).pixels, white_level)


def eight_bits(pixels: np.ndarray, white_level: float | None) -> np.ndarray:
    """Scale the pixels of a :class:`Picture` to uint8, shape (H, W, 3); errors as :func:`decode`."""
    if pixels.dtype == np.uint8:
        return pixels
    if white_level is None:
        raise DeepImageError
    if pixels.max() > white_level:
        raise ValueError(f"a pixel of {pixels.max():g} is above the white level, {white_level:g}")
    grey = np.floor(pixels * (255 / white_level) + 0.5).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def read_picture(data: bytes, max_megapixels: int = MAX_MEGAPIXELS) -> Picture:
    """Decode like :func:`decode`, but leave grey levels of more than 8 bits as they are."""
    if not data:
        raise ValueError("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_megapixels * 1_000_000:
                size = f"{image.width} x {image.height} px"
                raise _RefusedError(f"{size}, more than max_megapixels: {max_megapixels}")
            # cameras append previews to photographs (MPO), which are no animation
            animated = getattr(image, "is_animated", False) and image.format != "MPO"
            return Picture(_pixels(image), animated)
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


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode == "F" or image.mode.startswith("I"):
        grey = np.asarray(image)
        if not np.isfinite(grey).all():
            raise _RefusedError("pixels that are no finite numbers")
        if grey.min() < 0:
            raise _RefusedError("negative pixels have no agreed meaning")
        return grey.astype(np.float64 if image.mode == "F" else np.int64)
    if image.mode == "P" and "transparency" in image.info:
        return np.array(image.convert("RGBA").convert("RGB"))
    return np.array(image.convert("RGB"))
