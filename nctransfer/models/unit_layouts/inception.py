"""Inception v3 and v4: a unit is an Inception or reduction module."""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, blocks_of_type, with_head

BLOCKS = (*(f"Inception{letter}" for letter in "ABCDE"), "ReductionA", "ReductionB")


def describe(network: nn.Module) -> UnitLayout:
    """Find the Inception modules, 11 in Inception v3."""
    return with_head(network, blocks_of_type(network, BLOCKS))
