"""The forms of a network's outputs, seen in a forward pass instead of believed from its attributes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from nctransfer.models.backbone import Place, blank_backbone
from nctransfer.models.unit_layout import Form, Tap, UnitLayout


def observed(
    network: nn.Module, layout: UnitLayout, size: tuple[int, int], device: torch.device | str = "cpu"
) -> UnitLayout:
    """The layout with the forms of all outputs, as seen while two images of noise (height, width) pass.

    A token before the patches enters the network as a parameter: in the input of the first unit that has it,
    it is the same for both images. Maps of square images are as high as wide, whatever their channels. The
    pooling ``cls`` goes where a unit has no class token. The network is in evaluation mode; on the ``meta``
    device, where tokens have no values, prefixes are those that the network declares.
    """
    noise = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(device)
    probe = blank_backbone(network, layout, size)
    indices = range(len(layout.units) + 1)
    places: dict[Any, Place] = {("output", index): (probe.tap(index), lambda x: x.shape) for index in indices}
    places |= {
        ("input", index): (Tap(path, "input"), _leading_constants)
        for index, path in enumerate(layout.units, start=1)
    }
    places["penultimate"] = (layout.penultimate, lambda x: x.shape)
    with torch.no_grad():
        seen, _ = probe.read(noise, places)
    entered = [seen["input", max(index, 1)] for index in indices]
    # a unit passes on the tokens that it receives, which depend on the image from there on
    prefixes = [layout.declared.prefix if noise.is_meta else max(entered[: index + 1]) for index in indices]
    forms = [
        Form(prefix, _channel_dim(seen["output", index], size, layout.declared.channel_dim))
        for index, prefix in enumerate(prefixes)
    ]
    last = Form(prefixes[-1], _channel_dim(seen["penultimate"], size, layout.declared.channel_dim))
    lacks = "cls" in layout.poolings and not min(prefixes[1:])
    poolings = tuple(name for name in layout.poolings if not (lacks and name == "cls"))
    return replace(layout, forms=(*forms, last), poolings=poolings)


def _leading_constants(x: Tensor) -> int:
    """Number of leading tokens of two images (2, L, C) that are alike; 0 for maps, or where all are."""
    if x.ndim != 3 or x.is_meta:
        return 0
    alike = torch.isclose(x[0], x[1]).all(-1)
    return 0 if alike.all() else int(alike.int().argmin())


def _channel_dim(shape: Sequence[int], size: tuple[int, int], declared: int) -> int:
    """Which dimension of a map (N, a, b, c) of images of ``size`` has the channels: 1, or -1 for the last."""
    if len(shape) != 4:
        return declared
    aspect = size[0] / size[1]
    first, last = abs(shape[2] / shape[3] - aspect), abs(shape[1] / shape[2] - aspect)
    return declared if first == last else 1 if first < last else -1
