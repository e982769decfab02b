"""Encoded pictures to RGB arrays, whatever a picture file may hold.

Follows the field's loaders: the first frame, ``convert("RGB")``, no EXIF rotation. Two
cases that ``convert`` gets wrong are mended: 16-bit grey (it clips instead of scaling)
and palettes with transparency.
"""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

_PICTURE = re.compile(
    r"\.(avif|bmp|gif|j2k|jfif|jp2|jpe|jpeg|jpg|pbm|pgm|png|pnm|ppm|tga|tif|tiff|webp)", re.IGNORECASE
)


def is_picture_name(name: str) -> bool:
    """Whether a file's suffix promises a picture; its content decides later."""
    return _PICTURE.fullmatch(Path(name).suffix) is not None


def decode(data: bytes) -> np.ndarray:
    """Decode a picture.

    Args:
        data: the file's bytes, in any format that PIL reads.

    Returns:
        uint8, shape (H, W, 3), RGB, contiguous.

    Raises:
        ValueError: empty, not a picture, truncated, too large to be honest, or of a kind
            without an agreed conversion; the message says which, without the name.
    """
    if not data:
        raise ValueError("empty file")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return _rgb(picture)
    except Image.UnidentifiedImageError:
        raise ValueError("not an image in any format that PIL knows") from None
    except Image.DecompressionBombError as error:
        raise ValueError(f"refused as a decompression bomb: {error}") from None
    # PIL's format readers raise whatever their parsing trips over: OSError, SyntaxError,
    # struct.error, IndexError, ... Each of them means that this file cannot be read.
    except Exception as error:
        raise ValueError(
            f"corrupt or truncated ({' '.join(str(error).split()) or type(error).__name__})"
        ) from None


def _rgb(picture: Image.Image) -> np.ndarray:
    if picture.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError("grey levels beyond 16 bits")
        return np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=2)
    if picture.mode == "P" and "transparency" in picture.info:
        return np.array(picture.convert("RGBA").convert("RGB"))
    return np.array(picture.convert("RGB"))
