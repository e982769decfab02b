"""Augmentation levels 1 to 5, for a whole batch at once, on the device.

Source: the paper's levels for pre-training; each adds one operation to the one before: 1 none (the network
itself standardises), 2 random crop, 3 random horizontal flip, 4 colour jitter, 5 random grayscale. Arithmetic
and distributions are torchvision's (``transforms.v2``, float images); the random numbers of a sample depend
only on its key.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nctransfer.data.keyed_random import Stream, uniform
from nctransfer.training.settings import AugmentationSettings, JitterSettings

CROP, FLIP, JITTER, GRAYSCALE = 2, 3, 4, 5  # level that adds each operation
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # as torchvision's ColorJitter numbers them


def augment(images: Tensor, keys: Tensor, settings: AugmentationSettings) -> Tensor:
    """Augment uint8 images (B, 3, H, W), each by its own draws; gives pixels in [0, 1], float32.

    ``keys`` are int64, shape (B,), on the same device (see ``keyed_random.sample_keys``).
    """
    cropped, flips = settings.level >= CROP, settings.level >= FLIP
    if cropped and settings.crop_scale is None:
        images = _crop(images, keys, settings.crop_padding, flips)
    pixels = images.to(torch.float32).div_(255)
    if cropped and settings.crop_scale is not None:
        pixels = _resized_crop(pixels, keys, settings.crop_scale, flips)
    if settings.level >= JITTER:
        pixels = jitter_colours(pixels, draw_jitter(settings.jitter, keys))
    if settings.level >= GRAYSCALE:
        grey = (uniform(keys, Stream.GRAYSCALE) < settings.grayscale).view(-1, 1, 1, 1)
        pixels = torch.where(grey, _luminance(pixels), pixels)
    return pixels


def _crop(images: Tensor, keys: Tensor, padding: int, flips: bool) -> Tensor:
    """Crop the images, padded with black, at random places; flip half of them if ``flips``; one gather."""
    batch, channels, height, width = images.shape
    device = images.device
    offsets = uniform(keys, Stream.CROP, 2).mul_(2 * padding + 1).long()
    columns = torch.arange(width, device=device).expand(batch, width)
    if flips:
        flipped = uniform(keys, Stream.FLIP) < 0.5
        columns = torch.where(flipped.unsqueeze(1), width - 1 - columns, columns)
    rows = offsets[:, :1] + torch.arange(height, device=device)
    columns = offsets[:, 1:] + columns
    padded = functional.pad(images, (padding,) * 4)
    return padded[
        torch.arange(batch, device=device).view(-1, 1, 1, 1),
        torch.arange(channels, device=device).view(1, -1, 1, 1),
        rows.view(batch, 1, height, 1),
        columns.view(batch, 1, 1, width),
    ]


def _resized_crop(pixels: Tensor, keys: Tensor, scale: tuple[float, float], flips: bool) -> Tensor:
    """Enlarge a random part of each image to its size (bilinear); flip half of them if ``flips``.

    Area and aspect ratio (3/4 to 4/3) are drawn as by torchvision's RandomResizedCrop; parts are not rounded
    to whole pixels, and a side that would exceed the image is the image's.
    """
    height, width = pixels.shape[2:]
    area, shape, *places = uniform(keys, Stream.RESIZED_CROP, 4).unbind(1)
    area = scale[0] + (scale[1] - scale[0]) * area
    ratio = torch.exp(math.log(4 / 3) * (2 * shape - 1)) * height / width
    axes = []
    for size, share, place in zip((width, height), (area * ratio, area / ratio), places, strict=True):
        part = share.sqrt().clamp(max=1)
        # centres of pixels, from -1 to 1 across the image
        centres = (2 * torch.arange(size, device=pixels.device) + 1) / size - 1
        axes.append(((1 - part) * (2 * place - 1)).unsqueeze(1) + part.unsqueeze(1) * centres)
    columns, rows = axes
    if flips:
        flipped = uniform(keys, Stream.FLIP) < 0.5
        columns = torch.where(flipped.unsqueeze(1), columns.flip(1), columns)
    grid = torch.stack(torch.broadcast_tensors(columns.unsqueeze(1), rows.unsqueeze(2)), 3)
    return functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class JitterDraws:
    """The random numbers of colour jitter for each sample."""

    applied: Tensor  # whether it is jittered at all, shape (B,), bool
    order: Tensor  # the numbers of the operations in the order of their application, shape (B, 4), int64
    # by operation number, that of the hue a share of the colour circle, shape (B, 4), float32
    factors: Tensor


def draw_jitter(settings: JitterSettings, keys: Tensor) -> JitterDraws:
    """Draw the colour jitter of the samples with these keys (B,)."""
    shares = uniform(keys, Stream.JITTER_FACTORS, 4)
    widths = (settings.brightness, settings.contrast, settings.saturation)
    ranges = [(max(0.0, 1 - width), 1 + width) for width in widths]
    ranges.append((-settings.hue, settings.hue))
    factors = [low + (high - low) * shares[:, i] for i, (low, high) in enumerate(ranges)]
    return JitterDraws(
        applied=uniform(keys, Stream.JITTER) < settings.probability,
        order=uniform(keys, Stream.JITTER_ORDER, 4).argsort(dim=1, stable=True),
        factors=torch.stack(factors, dim=1),
    )


def jitter_colours(pixels: Tensor, draws: JitterDraws) -> Tensor:
    """Apply the four jitter operations to float32 pixels in [0, 1], (B, 3, H, W), each sample in its order.

    Brightness, contrast and saturation are all blends, so that one blend serves samples at different
    operations. Only their order relative to the hue matters for the layout of the computation: three blends
    come before the hue and three after it, and a blend that does not apply to a sample has the factor 1,
    which changes no bit.
    """
    hue_turn = (draws.order == HUE).long().argmax(dim=1, keepdim=True)
    turns = torch.arange(3, device=pixels.device)
    operations = draws.order.gather(1, turns + (turns >= hue_turn))
    factors = draws.factors.gather(1, operations)
    jittered = pixels
    for turn in range(3):
        active = torch.where(turn < hue_turn, factors, 1.0)
        jittered = _blend(jittered, operations[:, turn], active[:, turn])
    jittered = _shift_hue(jittered, draws.factors[:, HUE])
    for turn in range(3):
        active = torch.where(turn < hue_turn, 1.0, factors)
        jittered = _blend(jittered, operations[:, turn], active[:, turn])
    return torch.where(draws.applied.view(-1, 1, 1, 1), jittered, pixels)


def _blend(pixels: Tensor, operations: Tensor, factors: Tensor) -> Tensor:
    """Blend with black (brightness), the mean luminance (contrast) or the luminance (saturation).

    ``operations`` and ``factors`` have shape (B,); gives clamp(f x + (1 - f) reference, 0, 1), (B, 3, H, W).
    """
    luminance = _luminance(pixels)
    complements = 1 - factors
    to_mean = (complements * (operations == CONTRAST)).view(-1, 1, 1, 1)
    to_luminance = (complements * (operations == SATURATION)).view(-1, 1, 1, 1)
    reference = torch.addcmul(luminance.mean((1, 2, 3), keepdim=True) * to_mean, luminance, to_luminance)
    return torch.addcmul(reference, pixels, factors.view(-1, 1, 1, 1)).clamp_(0, 1)


def _luminance(pixels: Tensor) -> Tensor:
    """Luminance (B, 1, H, W) of pixels (B, 3, H, W), with torchvision's weights."""
    red, green, blue = pixels.split(1, dim=1)
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def _shift_hue(pixels: Tensor, shifts: Tensor) -> Tensor:
    """Turn the hue of pixels (B, 3, H, W) in HSV space by shares (B,) of the colour circle in [-0.5, 0.5].

    With value V and chroma C = max - min, which the turn preserves, the new channels are V - C clamp(min(k, 4
    - k), 0, 1), k = (n + 6 hue) mod 6 and n = 5, 3, 1 for red, green and blue: torchvision's six cases in one
    expression.
    """
    low, value = torch.aminmax(pixels, dim=1, keepdim=True)
    chroma = value - low
    red, green, blue = pixels.split(1, dim=1)
    sector = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red + 2 * chroma, red - green + 4 * chroma),
    )
    sixths = sector / torch.where(chroma > 0, chroma, 1.0)  # a grey pixel has no hue and needs none
    corners = torch.arange(5, 0, -2, device=pixels.device).view(1, 3, 1, 1)
    k = (sixths + 6 * shifts.view(-1, 1, 1, 1) + corners).remainder_(6)
    return torch.addcmul(value, chroma, torch.minimum(k, 4 - k).clamp_(0, 1), value=-1)
