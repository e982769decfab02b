"""MobileNets, MnasNets and EfficientNets: a unit is an inverted residual block."""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, blocks_of_type, children_of, with_head

BLOCKS = ("InvertedResidual", "_InvertedResidual", "MBConv", "FusedMBConv")


def describe(network: nn.Module) -> UnitLayout:
    """Find the blocks; timm has them in ``blocks.{stage}.{block}``, whatever their class."""
    if hasattr(network, "blocks"):
        units = tuple(
            path for stage in children_of(network, "blocks") for path in children_of(network, stage)
        )
    else:
        units = blocks_of_type(network, BLOCKS)
    return with_head(network, units)
