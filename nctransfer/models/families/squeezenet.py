"""SqueezeNets: a unit is a Fire module; the classifier is a convolution, its input is average-pooled."""

from torch import nn

from nctransfer.models.layout import Layout, blocks_of_type, with_head


def describe(network: nn.Module) -> Layout:
    """Find the eight Fire modules."""
    return with_head(network, blocks_of_type(network, ("Fire",)))
