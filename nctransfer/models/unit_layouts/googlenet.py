"""GoogLeNet (Inception v1): a unit is an Inception module."""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, blocks_of_type, with_head


def describe(network: nn.Module) -> UnitLayout:
    """Find the nine Inception modules."""
    return with_head(network, blocks_of_type(network, ("Inception",)))
