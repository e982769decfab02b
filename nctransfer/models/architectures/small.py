"""Networks for small images: ResNets with torchvision's blocks and names behind a 3 x 3 stem, and a ViT."""

from collections.abc import Mapping

from torch import Tensor, nn

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Metadata, Options, require_positive, with_defaults
from nctransfer.models.residual import BasicBlock, Block, Bottleneck, ResidualNetwork, projected_shortcut
from nctransfer.suggestions import suggestion

RESNETS: dict[str, tuple[Block, tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}
VIT = "vit"
UNIT_LAYOUTS = {**dict.fromkeys(RESNETS, "resnet"), VIT: "vit"}
# Options with their defaults.
OPTIONS = {VIT: {"image_size": 32, "patch": 4, "width": 192, "heads": 3}}
DEPTH = 6  # of the ViT
WIDTH = {"width": 64}  # of a ResNet's first stage, as on ImageNet


def build(name: str, options: Options, classes: int | None) -> nn.Module:
    """Build a network with random weights.

    Args:
        name: resnet18, resnet34, resnet50 or vit.
        options: ``width``, of a ResNet's first stage (64) or of the ViT's tokens (192); of the ViT also
            ``image_size`` (32), ``patch`` (4) and ``heads`` (3).
        classes: outputs of the head, 10 by default.

    Raises:
        ModelError: no such network or option.
    """
    if name not in UNIT_LAYOUTS:
        raise ModelError(
            f"no small-image network {name!r}{suggestion(name, UNIT_LAYOUTS)}; {', '.join(UNIT_LAYOUTS)}"
        )
    chosen = with_defaults(f"small/{name}", options, OPTIONS.get(name, WIDTH))
    require_positive(f"small/{name}", chosen, chosen)
    outputs = 10 if classes is None else classes
    if name == VIT:
        return _vit(chosen, outputs)
    block, depths = RESNETS[name]
    return ResidualNetwork(block, depths, chosen["width"], projected_shortcut, "fc", outputs)


def _vit(options: Mapping[str, int], classes: int) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer  # takes a second, which ResNets need not

    for whole, part in (("image_size", "patch"), ("width", "heads")):
        if options[whole] % options[part]:
            raise ModelError(f"small/vit: {part} {options[part]} does not divide {whole} {options[whole]}")
    network = VisionTransformer(
        img_size=options["image_size"],
        patch_size=options["patch"],
        embed_dim=options["width"],
        depth=DEPTH,
        num_heads=options["heads"],
        num_classes=classes,
        weight_init="jax",  # of the original implementation; at small widths timm's own hardly trains
    )
    for block in network.blocks:  # fused, an image's numbers depend on the other images of its batch
        block.attn.fused_attn = False  # type: ignore[union-attr]
    return network


def metadata(name: str, weights: str | None) -> Metadata:
    """The usual 32 px; mean and std are the trainer's to know."""
    return Metadata(mean=None, std=None, size=(32, 32), native=None)


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights fit as they are."""
    return dict(state)
