"""ResNets for CIFAR as in He et al. (2016), section 4.2: 3 stages, 16 channels, option-A shortcuts."""

from collections.abc import Mapping

from torch import Tensor

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Metadata, Options
from nctransfer.models.residual import BasicBlock, PaddedShortcut, ResidualNetwork
from nctransfer.suggestions import suggestion

DEPTHS = {f"resnet{6 * n + 2}": n for n in (3, 5, 7, 9, 18)}
UNIT_LAYOUTS = dict.fromkeys(DEPTHS, "resnet")


def build(name: str, options: Options, classes: int | None) -> ResidualNetwork:
    """Build a network with random weights; its classification layer is ``linear``.

    Raises:
        ModelError: no such network or option.
    """
    if name not in DEPTHS:
        raise ModelError(f"no CIFAR network {name!r}{suggestion(name, DEPTHS)}; {', '.join(DEPTHS)}")
    if options:
        raise ModelError(f"cifar/{name}: takes no options, got {dict(options)}")
    depths = (DEPTHS[name],) * 3
    return ResidualNetwork(
        BasicBlock, depths, 16, PaddedShortcut, "linear", 10 if classes is None else classes
    )


def metadata(name: str, weights: str | None) -> Metadata:
    """32 px; mean and std depend on the training."""
    return Metadata(mean=None, std=None, size=(32, 32), native=None)


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights unchanged."""
    return dict(state)
