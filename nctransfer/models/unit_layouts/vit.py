"""Vision transformers: a unit is an encoder layer with output (N, tokens, channels).

The penultimate feature is the input of the classification layer: the class token after the final norm, or the
pooled tokens where there is no class token.
"""

from torch import nn

from nctransfer.errors import ModelError
from nctransfer.models.unit_layout import Form, UnitLayout, children_of, trunk, with_head

WITH_CLASS_TOKEN = ("cls", "token_mean", "patch_mean")


def describe(network: nn.Module) -> UnitLayout:
    """Find the encoder layers of torchvision's and timm's vision transformers."""
    if hasattr(network, "encoder") and hasattr(network, "class_token"):
        units = children_of(network, "encoder.layers")
        return with_head(network, units, poolings=WITH_CLASS_TOKEN, declared=Form(prefix=1))
    start, inner = trunk(network)
    if not isinstance(getattr(inner, "blocks", None), (nn.Sequential, nn.ModuleList)):
        raise ModelError(f"{type(inner).__name__}: no list of encoder layers; set `unit_layout: stages`")
    poolings: tuple[str, ...]
    has_class_token = getattr(inner, "cls_token", None) is not None
    prefix = int(getattr(inner, "num_prefix_tokens", has_class_token))
    if has_class_token:
        poolings = WITH_CLASS_TOKEN
    else:
        poolings = ("token_mean", "patch_mean") if prefix else ("token_mean",)
    # networks that average their patches may have a class token that they do not use
    pooled_by = "patch_mean" if prefix and getattr(inner, "global_pool", "token") == "avg" else ""
    units = children_of(network, f"{start}blocks")
    return with_head(network, units, poolings=poolings, declared=Form(prefix), pooled_by=pooled_by)
