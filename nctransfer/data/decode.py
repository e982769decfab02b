"""Encoded images to RGB arrays.

Follows the usual loaders: the first frame, ``convert("RGB")``, no EXIF rotation. Two cases that ``convert``
gets wrong are corrected: 16-bit grey (it clips instead of scaling) and palettes with transparency.
"""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

_IMAGE_SUFFIX = re.compile(
    r"\.(avif|bmp|gif|j2k|jfif|jp2|jpe|jpeg|jpg|pbm|pgm|png|pnm|ppm|tga|tif|tiff|webp)", re.IGNORECASE
)


def is_image_name(name: str) -> bool:
    """Whether the suffix of a file name is that of an image format; the content is checked later."""
    return _IMAGE_SUFFIX.fullmatch(Path(name).suffix) is not None


def decode(data: bytes) -> np.ndarray:
    """Decode the bytes of an image file in any format that PIL reads.

    Returns:
        uint8, shape (H, W, 3), RGB, contiguous.

    Raises:
        ValueError: empty, not an image, truncated, a decompression bomb, or of a kind without an agreed
            conversion; the message does not name the file.
    """
    if not data:
        raise ValueError("empty file")
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _rgb(image)
    except Image.UnidentifiedImageError:
        raise ValueError("not an image in any format that PIL knows") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"refused as a decompression bomb: {error}") from None
    # PIL's readers raise many kinds of errors (OSError, SyntaxError, struct.error, IndexError, ...);
    # each of them means that this file cannot be read.
    except Exception as error:
        raise ValueError(
            f"corrupt or truncated ({' '.join(str(error).split()) or type(error).__name__})"
        ) from None


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError("grey levels beyond 16 bits")
        return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "P" and "transparency" in image.info:
        return np.array(image.convert("RGBA").convert("RGB"))
    return np.array(image.convert("RGB"))
