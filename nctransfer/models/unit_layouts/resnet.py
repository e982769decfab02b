"""ResNets: a unit is a residual block (torchvision, timm and the small-image networks of this project)."""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, blocks_of_type, with_head

BLOCKS = ("BasicBlock", "Bottleneck", "PreActBasic", "PreActBottleneck")


def describe(network: nn.Module) -> UnitLayout:
    """Find the residual blocks; ResNet18 has 8, ResNet34 and ResNet50 have 16."""
    return with_head(network, blocks_of_type(network, BLOCKS))
