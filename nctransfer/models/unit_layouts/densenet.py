"""DenseNets: a unit is a dense block, its output the concatenation of its layers."""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, blocks_of_type, with_head


def describe(network: nn.Module) -> UnitLayout:
    """Find the dense blocks, four in all of the usual ones."""
    return with_head(network, blocks_of_type(network, ("_DenseBlock", "DenseBlock")))
