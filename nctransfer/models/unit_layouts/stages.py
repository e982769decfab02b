"""Any other network, by its stages: timm's ``feature_info``, or torchvision's blocks by class.

Maps may be (N, C, H, W) or (N, H, W, C) and tokens (N, L, C): all are pooled by ``avg``, the mean over
positions (without prefix tokens).
"""

from collections.abc import Mapping
from os.path import commonpath

from torch import nn

from nctransfer.models.unit_layout import Form, UnitLayout, blocks_of_type, children_of, trunk, with_head

TORCHVISION_BLOCKS = {
    "AlexNet": ("MaxPool2d",),
    "ConvNeXt": ("CNBlock",),
    "MaxVit": ("MaxVitLayer",),
    "RegNet": ("ResBottleneckBlock",),
    "ShuffleNetV2": ("InvertedResidual",),
    "SwinTransformer": ("SwinTransformerBlock", "SwinTransformerBlockV2"),
    "VGG": ("MaxPool2d",),
}
CHANNELS_LAST = ("SwinTransformer",)


def describe(network: nn.Module) -> UnitLayout:
    """Find the stages."""
    start, inner = trunk(network)
    kind = type(inner).__name__
    if type(inner).__module__.startswith("torchvision.") and kind in TORCHVISION_BLOCKS:
        units = blocks_of_type(network, TORCHVISION_BLOCKS[kind])
        return with_head(network, units, declared=Form(channel_dim=-1 if kind in CHANNELS_LAST else 1))
    last = getattr(inner, "output_fmt", "NCHW") == "NHWC"
    return with_head(
        network,
        tuple(f"{start}{path}" for path in _stages(inner)),
        declared=Form(channel_dim=-1 if last else 1),
    )


def _stages(network: nn.Module) -> tuple[str, ...]:
    modules = dict(network.named_modules())
    info = getattr(network, "feature_info", None) or []
    paths = [entry["module"] for entry in info if isinstance(entry, dict) and entry.get("module")]
    paths = [path for path in dict.fromkeys(paths) if path in modules]
    if not paths:
        container = next((name for name in ("blocks", "stages", "layers") if name in modules), None)
        return children_of(network, container) if container else ()
    return tuple(paths[_stems(paths, modules) :])


def _stems(paths: list[str], modules: Mapping[str, nn.Module]) -> int:
    """How many of the first entries of ``feature_info`` are the stem, which is unit 0 here.

    The stem is what comes before the list of stages (``stem``, then ``stages.0``, ...); where stages are no
    list, what comes before the first block, a module with several layers of its own. A network without any
    blocks (VGG) has only units.
    """
    shared = commonpath([path.rpartition(".")[0].replace(".", "/") for path in paths])
    depth = len(shared.split("/")) + 1 if shared else 1
    parts = [".".join(path.split(".")[:depth]) for path in paths]
    lists = [index for index, part in enumerate(parts) if parts.count(part) > 1]
    blocks = lists or [index for index, part in enumerate(parts) if _holds_block(modules[part])]
    return blocks[0] if blocks else 0


def _holds_block(module: nn.Module) -> bool:
    parts = (part for part in module.modules() if not isinstance(part, nn.Sequential | nn.ModuleList))
    return any(sum(map(_is_layer, part.modules())) > 1 for part in parts)


def _is_layer(module: nn.Module) -> bool:
    return any(weight.ndim > 1 for weight in module.parameters(recurse=False))
