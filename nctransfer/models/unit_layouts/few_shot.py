"""Networks of few-shot learning: a unit is one of the four blocks, its max-pool included.

The first block takes the image itself, which is so the stem (unit 0).
"""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, children_of, with_head


def describe(network: nn.Module) -> UnitLayout:
    """Find the four blocks."""
    return with_head(network, children_of(network, "blocks"))
