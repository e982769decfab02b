"""SqueezeNets: a unit is a Fire module; the classifier is a convolution, whose input is average-pooled."""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, blocks_of_type, with_head


def describe(network: nn.Module) -> UnitLayout:
    """Find the eight Fire modules."""
    return with_head(network, blocks_of_type(network, ("Fire",)))
