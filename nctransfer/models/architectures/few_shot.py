"""Networks for few-shot learning: ConvNet4, ResNet12 and ResNet12 with squeeze and excitation.

Published sizes of the backbones: 113,088, 12,424,320 and 12,696,648 parameters.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Metadata, Options, require_positive, with_defaults
from nctransfer.models.few_shot import ConvolutionalBlock, FewShotNetwork, ThreeConvolutionBlock
from nctransfer.suggestions import suggestion

CONVNET = "convnet4"
RESNETS = {"resnet12": False, "seresnet12": True}  # with squeeze and excitation?
UNIT_LAYOUTS = dict.fromkeys((CONVNET, *RESNETS), "few_shot")
WIDTHS = (2, 5, 10, 20)  # of ResNet12's blocks, in halves of the first block's width
POOLED = (True, True, True, False)
# Options and their defaults.
WIDTH = {"width": 64}
OPTIONS = {name: {**WIDTH, "drop_rate": 0.0, "block_size": 5} for name in RESNETS}


def build(name: str, options: Options, classes: int | None) -> FewShotNetwork:
    """Build a network with random weights; ModelError for an unknown network or option.

    Options are ``width`` of the first block (64; even for ResNet12, whose other blocks have 2.5, 5 and 10
    times as many channels); for ResNet12 also ``drop_rate`` (0) of dropout after blocks 1 and 2 and of
    DropBlock after blocks 3 and 4, and DropBlock's ``block_size`` (5). The head has 10 outputs by default.
    """
    if name not in UNIT_LAYOUTS:
        raise ModelError(
            f"no few-shot network {name!r}{suggestion(name, UNIT_LAYOUTS)}; {', '.join(UNIT_LAYOUTS)}"
        )
    values = with_defaults(f"few_shot/{name}", options, OPTIONS.get(name, WIDTH))
    require_positive(f"few_shot/{name}", values, [option for option in values if option != "drop_rate"])
    outputs = 10 if classes is None else classes
    if name == CONVNET:
        return _convnet(values["width"], outputs)
    return _resnet(name, values["width"], values["drop_rate"], values["block_size"], outputs)


def _convnet(width: int, classes: int) -> FewShotNetwork:
    inputs = (3, width, width, width)
    blocks = [
        ConvolutionalBlock(channels, width, pooled) for channels, pooled in zip(inputs, POOLED, strict=True)
    ]
    return FewShotNetwork(blocks, width, classes)


def _resnet(name: str, width: int, rate: float, block_size: int, classes: int) -> FewShotNetwork:
    if not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ModelError(f"few_shot/{name}: drop_rate {rate!r} is not a number from 0 to below 1")
    if width % 2:
        raise ModelError(f"few_shot/{name}: width {width} is odd, but the second block has 2.5 times as many")
    widths = [width * halves // 2 for halves in WIDTHS]
    blocks = [
        ThreeConvolutionBlock(inputs, outputs, pooled, RESNETS[name], dropout)
        for inputs, outputs, pooled, dropout in zip(
            (3, *widths[:-1]), widths, POOLED, _dropouts(rate, block_size), strict=True
        )
    ]
    return FewShotNetwork(blocks, widths[-1], classes)


def _dropouts(rate: float, block_size: int) -> list[nn.Module]:
    """The module after each block: dropout of single values, then of squares of a channel's map."""
    if not rate:
        return [nn.Identity() for _ in POOLED]
    from timm.layers import DropBlock2d  # takes seconds to import

    squares = [DropBlock2d(rate, block_size, couple_channels=False) for _ in range(2)]
    return [nn.Dropout(rate), nn.Dropout(rate), *squares]


def metadata(name: str, weights: str | None) -> Metadata:
    """84 px, as miniImageNet; mean and std depend on the training."""
    return Metadata(mean=None, std=None, size=(84, 84), native=None)


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights unchanged."""
    return dict(state)
