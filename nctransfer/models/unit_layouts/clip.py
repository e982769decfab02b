"""Image towers of open_clip: a unit is an encoder layer (ViT) or a residual block (ResNet).

The penultimate feature of a ViT is its class token after the last norm, before the projection to the joint
space; that of a ResNet is the average of the map that enters the attention pool, which ends with the
projection.
"""

from torch import nn

from nctransfer.models.unit_layout import Form, Tap, UnitLayout, blocks_of_type, children_of


def describe(network: nn.Module) -> UnitLayout:
    """Find the units of open_clip's own ViT and ModifiedResNet."""
    if hasattr(network, "attnpool"):
        return UnitLayout(
            units=blocks_of_type(network, ("Bottleneck",)), penultimate=Tap("attnpool", "input")
        )
    return UnitLayout(
        units=children_of(network, "transformer.resblocks"),
        penultimate=Tap("ln_post", "output"),
        poolings=("cls", "token_mean", "patch_mean"),
        declared=Form(prefix=1),
    )
