"""Batch normalisation folded into the convolution before it: one operation less per pair at inference."""

import logging
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nctransfer.errors import ModelError
from nctransfer.models.backbone import Backbone, Place

logger = logging.getLogger(__name__)

# Of outputs that differ by rounding only, as a share of the largest.
TOLERANCE = 5e-3


def fold_batch_norm(backbone: Backbone) -> int:
    """Fold every batch norm whose only input is a convolution's output, in place; return their number.

    Pairs are found in a forward pass of noise. Left as they are: pairs with the output or input of a unit, or
    the penultimate feature, between them, so that everything that is read stays what the layout says, and
    pairs that give something else when folded (convolutions that change their own weights).

    Raises:
        ModelError: the folded network gives other outputs: something else reads the output of a convolution.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in backbone.network.modules()):
        return 0
    device = backbone.get_buffer("_mean").device
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 3, *backbone.identity.size, generator=generator).to(device)
    with torch.no_grad():
        before = _outputs(backbone, noise)
        pairs = _pairs(backbone, noise)
        for path, folded in pairs.items():
            parent, _, name = path.rpartition(".")
            setattr(backbone.network.get_submodule(parent), name, folded)
        after = _outputs(backbone, noise)
    if not all(map(_are_close, after, before)):
        raise ModelError(
            f"{backbone.identity.name}: batch norm cannot be folded without changing the outputs; set "
            "features.fold_batch_norm: false"
        )
    logger.info("%d batch norms folded", len(pairs) // 2)
    return len(pairs) // 2


def _outputs(backbone: Backbone, inputs: Tensor) -> list[Tensor]:
    capture = backbone.capture(inputs)
    units = [vectors for by_pooling in capture.units.values() for vectors in by_pooling.values()]
    return [*units, capture.penultimate, capture.output]


def _pairs(backbone: Backbone, inputs: Tensor) -> dict[str, nn.Module]:
    """What replaces convolutions and batch norms, by path."""
    uses: Counter[str] = Counter()
    # tensors by identity, which is not given twice while they live
    convolved: dict[int, tuple[str, Tensor, Tensor]] = {}
    read: dict[int, Tensor] = {}
    candidates: dict[int, tuple[str, str, Tensor, Tensor]] = {}

    def after_convolution(path: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        uses[path] += 1
        convolved[id(output)] = (path, inputs[0], output)

    def after_norm(path: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
        uses[path] += 1
        if (key := id(inputs[0])) in convolved:
            above, seen, _ = convolved[key]
            candidates[key] = (above, path, seen.clone(), output.clone())  # later steps may work in place

    def record(x: Tensor) -> None:
        read[id(x)] = x

    places: dict[Any, Place] = {
        index: (backbone.tap(index), record) for index in range(len(backbone.units) + 1)
    }
    places["penultimate"] = (backbone.layout.penultimate, record)
    with ExitStack() as hooks:
        for path, module in backbone.network.named_modules():
            if isinstance(module, nn.Conv2d):
                hooks.enter_context(module.register_forward_hook(partial(after_convolution, path)))
            elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
                hooks.enter_context(module.register_forward_hook(partial(after_norm, path)))
        backbone.read(inputs, places)
    pairs: dict[str, nn.Module] = {}
    for key, (above, path, seen, output) in candidates.items():
        convolution, norm = (cast(Any, backbone.network.get_submodule(part)) for part in (above, path))
        if key in read or uses[above] > 1 or uses[path] > 1 or parametrize.is_parametrized(convolution):
            continue
        folded = fuse_conv_bn_eval(convolution, norm)
        # timm's norms have the activation inside
        rest = nn.Sequential(norm.drop, norm.act) if hasattr(norm, "act") else nn.Identity()
        if _are_close(rest(folded(seen)), output):
            pairs |= {above: folded, path: rest}
    return pairs


def _are_close(found: Tensor, expected: Tensor) -> bool:
    return torch.allclose(found, expected, rtol=0, atol=TOLERANCE * float(expected.abs().max()))
