"""From the output of a unit to one vector per image.

``avg`` of maps is adaptive average pooling to 1 x 1 (paper, Appendix E); for tokens ``cls`` is the class
token, ``token_mean`` the mean over all tokens including the class token (Fig. 3b) and ``patch_mean`` the mean
without class token and registers. ``none`` returns the output unchanged.

``patch_mean``, and ``avg`` over tokens, leave out the tokens before the patches at each unit that has them:
CaiT, XCiT and ConViT add their class token only after (some of) the units. ``cls`` is refused unless every
unit has the class token, because a curve over the units would else join two different things.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from nctransfer.errors import ModelError
from nctransfer.models.unit_layout import Form, UnitLayout
from nctransfer.suggestions import suggestion


def mean_of_last(x: Tensor) -> Tensor:
    """Mean over the last dimension, (N, C, P) -> (N, C), at least in float32.

    Half-precision maps are converted first: on a CPU ``.mean`` over them is an order of magnitude slower, and
    a product with ones would round its sums to half precision again.
    """
    return x.float().mean(-1) if x.dtype in (torch.bfloat16, torch.float16) else x.mean(-1)


def average(x: Tensor, form: Form) -> Tensor:
    """Mean over positions: (N, C, H, W), (N, H, W, C), (N, L, C) or (N, C) -> (N, C)."""
    if x.ndim == 4:
        return mean_of_last(x.flatten(2) if form.channel_dim == 1 else x.flatten(1, 2).transpose(1, 2))
    return mean_of_last(x[:, form.prefix :].transpose(1, 2)) if x.ndim == 3 else x.clone()


def class_token(x: Tensor, form: Form) -> Tensor:
    """A copy of the first token, (N, L, C) -> (N, C), which later in-place steps cannot alter."""
    return x[:, 0].clone()


def token_mean(x: Tensor, form: Form) -> Tensor:
    """Mean over all tokens, class token and registers included, (N, L, C) -> (N, C)."""
    return mean_of_last(x.transpose(1, 2))


def patch_mean(x: Tensor, form: Form) -> Tensor:
    """Mean over the patches only, (N, L, C) -> (N, C)."""
    return mean_of_last(x[:, form.prefix :].transpose(1, 2))


def unpooled(x: Tensor, form: Form) -> Tensor:
    """A copy of the output."""
    return x.clone()


Pooling = Callable[[Tensor, Form], Tensor]
POOLINGS: dict[str, Pooling] = {
    "avg": average,
    "cls": class_token,
    "token_mean": token_mean,
    "patch_mean": patch_mean,
    "none": unpooled,
}


def poolings_for(layout: UnitLayout, names: tuple[str, ...]) -> dict[str, Pooling]:
    """The poolings with these names; ModelError for one that the network's outputs do not allow."""
    allowed = (*layout.poolings, "none")
    bare = [str(index) for index, form in enumerate(layout.forms[:-1]) if index and not form.prefix]
    for name in names:
        if name not in allowed:
            reason = f"; no class token in units {', '.join(bare)}" if name == "cls" and bare else ""
            raise ModelError(
                f"pooling {name!r} does not suit the units{suggestion(name, allowed)}; "
                f"allowed: {', '.join(layout.poolings)}{reason}"
            )
    return {name: POOLINGS[name] for name in names}


def penultimate_vector(x: Tensor, layout: UnitLayout) -> Tensor:
    """The last feature of the backbone as one vector per image.

    Maps that enter a convolutional classifier are averaged, tokens give the class token if there is one; a
    vector is copied, because later steps may work in place.
    """
    if x.ndim == 4:
        return average(x, layout.form(-1))
    if x.ndim == 3:
        return class_token(x, layout.form(-1)) if "cls" in layout.poolings else average(x, layout.form(-1))
    return x.clone()
