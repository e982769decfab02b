"""Resizing and cropping of uint8 images, one function for the disk, the CPU and the GPU.

A geometry is plain JSON, ``{"resize": [H, W] | S | None, "crop": S | None,
"interpolation": "bilinear" | "bicubic"}``; ``None`` in its place leaves images as they
are. ``[H, W]`` resizes directly (the paper's choice), ``S`` takes the shorter side to S.
An optional ``"rounding": "once"`` resizes in float32 and rounds at the end, as torchvision's
``weights.transforms()`` does on uint8 tensors; without it each pass is rounded, as PIL does.

On the CPU the numbers are those of torchvision's v2 transforms on uint8 tensors, bit for
bit (it calls the same kernel), without the 3.5 s that importing torchvision takes. That
kernel resizes columns, rounds, then resizes rows; other devices repeat the two roundings
in float32 and stay within one grey level for ``bilinear`` and two for ``bicubic``, as does
PIL when it takes columns first (new PILs sometimes take rows first: on 300 photographs
enlarged to 224 px still one level for ``bilinear``, up to eleven at edges for ``bicubic``).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from nctransfer.errors import DataError
from nctransfer.suggestions import suggestion

Geometry = Mapping[str, Any]

_INTERPOLATIONS = ("bilinear", "bicubic")
_KEYS = ("resize", "crop", "interpolation", "rounding")
_ROUNDINGS = ("each pass", "once")


def apply_geometry(images: Tensor, geometry: Geometry | None) -> Tensor:
    """Resize, then centre-crop; the same numbers for an image alone or in a batch.

    Args:
        images: uint8, shape (N, 3, H, W), any memory format, on any device.
        geometry: see the module; ``None`` returns ``images``.

    Returns:
        uint8, shape (N, 3, H', W'), on the same device.

    Raises:
        DataError: the geometry has an unknown key or value, or the images are not uint8.
    """
    if geometry is None:
        return images
    check_geometry(geometry)
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DataError(
            f"images must be uint8 of shape (N, 3, H, W), not {images.dtype} {tuple(images.shape)}"
        )
    if geometry.get("resize") is not None:
        size = resized_size(geometry["resize"], *images.shape[-2:])
        resize = _RESIZES[geometry.get("rounding", "each pass")]
        images = resize(images, size, geometry.get("interpolation", "bilinear"))
    if geometry.get("crop") is not None:
        images = _centre_crop(images, geometry["crop"])
    return images


def check_geometry(geometry: Geometry) -> None:
    """Refuse a geometry with unknown keys or values.

    Raises:
        DataError: names the key, its value and what is allowed.
    """
    for key in geometry:
        if key not in _KEYS:
            raise DataError(f"geometry: no key {key!r}{suggestion(key, _KEYS)}; there are {', '.join(_KEYS)}")
    interpolation = geometry.get("interpolation", "bilinear")
    if interpolation not in _INTERPOLATIONS:
        raise DataError(
            f"geometry.interpolation: {interpolation!r} is not bilinear or bicubic"
            f"{suggestion(interpolation, _INTERPOLATIONS)}"
        )
    rounding = geometry.get("rounding", "each pass")
    if rounding not in _ROUNDINGS:
        raise DataError(
            f"geometry.rounding: {rounding!r} is not one of {', '.join(_ROUNDINGS)}"
            f"{suggestion(rounding, _ROUNDINGS)}"
        )
    resize, crop = geometry.get("resize"), geometry.get("crop")
    pair = isinstance(resize, list | tuple) and len(resize) == 2 and all(map(_is_size, resize))
    if not (resize is None or _is_size(resize) or pair):
        raise DataError(
            f"geometry.resize: {resize!r} is not a positive whole number, [height, width] or null"
        )
    if not (crop is None or _is_size(crop)):
        raise DataError(f"geometry.crop: {crop!r} is not a positive whole number or null")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def resized_size(resize: Any, height: int, width: int) -> tuple[int, int]:
    """Height and width after a resize, with torchvision's and PIL's truncation of the longer side."""
    if isinstance(resize, list | tuple):
        return resize[0], resize[1]
    if height <= width:
        return resize, int(resize * width / height)
    return int(resize * height / width), resize


def _resize(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    height, width = images.shape[-2:]
    if (height, width) == size or images.numel() == 0:
        return images if (height, width) == size else images.new_empty(*images.shape[:2], *size)
    if images.device.type == "cpu":
        return interpolate(images, size=size, mode=mode, align_corners=False, antialias=True)
    return _resize_in_float(images, size, mode)


def _resize_in_float(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """The CPU kernel's two passes, each rounded, for devices without a uint8 kernel."""
    # Without the rounding and clamping between the passes, bicubic overshoot at sharp
    # edges survives into the second pass and single pixels differ by 20 grey levels.
    out = images.float()
    for step in ((images.shape[-2], size[1]), size):
        out = interpolate(out, size=step, mode=mode, align_corners=False, antialias=True)
        out = out.clamp_(0, 255).round_()
    return out.to(torch.uint8)


def _resize_rounding_once(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """As ``weights.transforms()`` of torchvision on uint8 tensors: in float32, rounded at the end."""
    if tuple(images.shape[-2:]) == size or images.numel() == 0:
        return _resize(images, size, mode)
    out = interpolate(images.float(), size=size, mode=mode, align_corners=False, antialias=True)
    return out.clamp_(0, 255).round_().to(torch.uint8)


_RESIZES = {"each pass": _resize, "once": _resize_rounding_once}


def _centre_crop(images: Tensor, side: int) -> Tensor:
    height, width = images.shape[-2:]
    if side > height or side > width:
        wide, high = max(side - width, 0), max(side - height, 0)
        images = pad(images, [wide // 2, (wide + 1) // 2, high // 2, (high + 1) // 2])
        height, width = images.shape[-2:]
    # Python's round, to even, as torchvision has it: an odd margin falls left or right by its size.
    top, left = round((height - side) / 2.0), round((width - side) / 2.0)
    return images[..., top : top + side, left : left + side]
