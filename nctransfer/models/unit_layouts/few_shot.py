"""Networks for few-shot learning: a unit is one of the four blocks, including its max-pool.

The input of the first block, hence the stem (unit 0), is the image itself.
"""

from torch import nn

from nctransfer.models.unit_layout import UnitLayout, children_of, with_head


def describe(network: nn.Module) -> UnitLayout:
    """Find the four blocks."""
    return with_head(network, children_of(network, "blocks"))
