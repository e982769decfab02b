"""Any other network, by its stages: timm's ``feature_info``, or torchvision's blocks by class.

Maps may be (N, C, H, W) or (N, H, W, C) and tokens (N, L, C): all are pooled by ``avg``, the mean over
positions (without prefix tokens).
"""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, blocks_of_type, children_of, trunk, with_head

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
# feature_info may begin with the stem, which is unit 0 here
STEMS = ("stem", "act", "conv", "bn", "relu", "norm", "patch_embed", "features.conv0", "features.norm0")


def describe(network: nn.Module) -> UnitLayout:
    """Find the stages."""
    start, inner = trunk(network)
    kind = type(inner).__name__
    if type(inner).__module__.startswith("torchvision.") and kind in TORCHVISION_BLOCKS:
        units = blocks_of_type(network, TORCHVISION_BLOCKS[kind])
        return with_head(network, units, channel_dim=-1 if kind in CHANNELS_LAST else 1)
    last = getattr(inner, "output_fmt", "NCHW") == "NHWC"
    return with_head(
        network,
        tuple(f"{start}{path}" for path in _stages(inner)),
        prefix=int(getattr(inner, "num_prefix_tokens", 0)),
        channel_dim=-1 if last else 1,
    )


def _stages(network: nn.Module) -> tuple[str, ...]:
    modules = dict(network.named_modules())
    info = getattr(network, "feature_info", None) or []
    paths = [entry["module"] for entry in info if isinstance(entry, dict) and entry.get("module") in modules]
    stages = tuple(dict.fromkeys(path for path in paths if not path.startswith(STEMS)))
    if not stages:
        container = next((name for name in ("blocks", "stages", "layers") if name in modules), None)
        stages = children_of(network, container) if container else ()
    return stages
