"""Resizing and cropping of uint8 images, one function for stores, CPU and GPU.

``resize: [H, W]`` resizes to that size (the paper's choice), a single number is the length of the shorter
side; without a geometry images stay unchanged. ``rounding: once`` resizes in float32 and rounds at the end,
like torchvision's ``weights.transforms()`` on uint8 tensors; ``each pass`` is what PIL does.

On the CPU the results are those of torchvision's v2 transforms on uint8 tensors, bit for bit (the same
kernel, without the 3.5 s import of torchvision). That kernel resizes columns, rounds, then resizes rows.
Other devices repeat the two roundings in float32 and differ by at most one grey level for ``bilinear`` and
two for ``bicubic``, like a PIL that resizes columns first. New PILs sometimes resize rows first: on 300
photographs enlarged to 224 px still one level for ``bilinear``, but up to eleven at edges for ``bicubic``.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from nctransfer.data.settings import Geometry
from nctransfer.errors import DataError


def apply_geometry(images: Tensor, geometry: Geometry | None) -> Tensor:
    """Resize, then centre-crop uint8 images (N, 3, H, W), in any memory format and on any device.

    The result, uint8 (N, 3, H', W'), does not depend on the batch that an image is in; without a geometry the
    images are returned unchanged. DataError where they are not uint8.
    """
    if geometry is None:
        return images
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise DataError(
            f"images must be uint8 of shape (N, 3, H, W), not {images.dtype} {tuple(images.shape)}"
        )
    if geometry.resize is not None:
        size = resized_size(geometry.resize, *images.shape[-2:])
        images = _RESIZES[geometry.rounding](images, size, geometry.interpolation)
    if geometry.crop is not None:
        images = _centre_crop(images, geometry.crop)
    return images


def resized_size(resize: int | tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Height and width after a resize, with torchvision's and PIL's truncation of the longer side."""
    if isinstance(resize, tuple):
        return resize
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
    """The two passes of the CPU kernel, each rounded, for devices without a uint8 kernel."""
    # Without rounding and clamping between the passes, bicubic overshoot at sharp edges enters the second
    # pass and single pixels differ by 20 grey levels.
    out = images.float()
    for step in ((images.shape[-2], size[1]), size):
        out = interpolate(out, size=step, mode=mode, align_corners=False, antialias=True)
        out = out.clamp_(0, 255).round_()
    return out.to(torch.uint8)


def _resize_rounding_once(images: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Like ``weights.transforms()`` of torchvision on uint8 tensors: in float32, rounded at the end."""
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
    # Python's round (half to even), like torchvision: the size of an odd margin decides on its side
    top, left = round((height - side) / 2.0), round((width - side) / 2.0)
    return images[..., top : top + side, left : left + side]
