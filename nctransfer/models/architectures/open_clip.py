"""open_clip's image towers, without their text towers."""

from collections.abc import Mapping
from typing import Any

import open_clip
from open_clip.model import _build_vision_tower
from open_clip.pretrained import get_pretrained_cfg
from open_clip.transform import PreprocessCfg
from torch import Tensor, nn

from nctransfer.errors import ModelError, suggestion
from nctransfer.models.architecture import Metadata


def config(name: str) -> dict[str, Any]:
    """The library's configuration of an architecture.

    Raises:
        ModelError: no such architecture.
    """
    known = open_clip.list_models()
    if name not in known:
        raise ModelError(f"open_clip has no model {name!r}{suggestion(name, known)}")
    return open_clip.get_model_config(name)


def build(name: str, options: Mapping[str, Any], classes: int | None) -> nn.Module:
    """Build an image tower with random weights; ``options`` overwrite its ``vision_cfg``.

    The library builds image towers only inside whole models; its own helper is used
    here so that a text tower (and its tokenizer's downloads) never gets in the way.
    """
    entry = config(name)
    vision = entry["vision_cfg"] | {"timm_model_pretrained": False} | dict(options)
    try:
        return _build_vision_tower(entry["embed_dim"], vision, entry.get("quick_gelu", False))
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"open_clip/{name}: options {dict(options)} refused ({error})") from None


def metadata(name: str, weights: str | None) -> Metadata:
    """Preprocessing of a tower's weights; of OpenAI's models where no weights are named."""
    size = config(name)["vision_cfg"]["image_size"]
    height, width = (size, size) if isinstance(size, int) else size
    entry = get_pretrained_cfg(name, weights) if weights else {}
    if weights and not entry:
        tags = open_clip.list_pretrained_tags_by_model(name)
        raise ModelError(
            f"open_clip/{name} has no weights {weights!r}{suggestion(weights, tags)}; "
            f"there are: {', '.join(tags)}"
        )
    default = PreprocessCfg()
    mode, interpolation = entry.get("resize_mode", "shortest"), entry.get("interpolation", "bicubic")
    native = None
    if mode == "squash":
        native = {"resize": [height, width], "crop": None, "interpolation": interpolation}
    elif mode == "shortest" and height == width:
        native = {"resize": height, "crop": height, "interpolation": interpolation}
    return Metadata(
        mean=tuple(entry.get("mean", default.mean)),
        std=tuple(entry.get("std", default.std)),
        size=(height, width),
        native=native,
    )


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Keep the image tower of a whole model's state dict; a tower's own passes as it is."""
    tower = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    return tower or dict(state)
