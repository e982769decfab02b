"""ResNets for small images: torchvision's blocks and names behind a 3 x 3 stem without max-pool."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nctransfer.errors import ModelError, suggestion
from nctransfer.models.architecture import Metadata
from nctransfer.models.residual import BasicBlock, Block, Bottleneck, ResidualNetwork, projected_shortcut

NETWORKS: dict[str, tuple[Block, tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}
OPTIONS = ("width",)


def build(name: str, options: Mapping[str, Any], classes: int | None) -> ResidualNetwork:
    """Build a network with random weights.

    Args:
        name: resnet18, resnet34 or resnet50.
        options: ``width``, channels of the first stage (64, as on ImageNet, by default).
        classes: outputs of the head, 10 by default.

    Raises:
        ModelError: no such network or option.
    """
    if name not in NETWORKS:
        raise ModelError(
            f"no small-image network {name!r}{suggestion(name, NETWORKS)}; {', '.join(NETWORKS)}"
        )
    for option in options:
        if option not in OPTIONS:
            raise ModelError(f"small/{name}: no option {option!r}{suggestion(option, OPTIONS)}; {OPTIONS}")
    width = options.get("width", 64)
    if not isinstance(width, int) or width < 1:
        raise ModelError(f"small/{name}: width {width!r} is not a positive whole number")
    block, depths = NETWORKS[name]
    return ResidualNetwork(block, depths, width, projected_shortcut, "fc", 10 if classes is None else classes)


def metadata(name: str, weights: str | None) -> Metadata:
    """The usual 32 px; mean and std are the trainer's to know."""
    return Metadata(mean=None, std=None, size=(32, 32), native=None)


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights fit as they are."""
    return dict(state)
