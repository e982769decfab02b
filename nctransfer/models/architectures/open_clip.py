"""open_clip's image towers without text towers; and whole models, for zero-shot classifiers.

Options overwrite the architecture's ``vision_cfg``, except two keys: ``embed_dim`` is the width of the
embedding that both towers share, ``text_cfg`` is a mapping that overwrites the architecture's own one (image
towers ignore it).
"""

from collections.abc import Mapping
from typing import Any

import open_clip
from open_clip.model import _build_vision_tower, convert_to_custom_text_state_dict
from open_clip.pretrained import get_pretrained_cfg
from open_clip.transform import PreprocessCfg
from torch import Tensor, nn

from nctransfer.data.settings import Geometry
from nctransfer.errors import ModelError
from nctransfer.models.architecture import Metadata, Options
from nctransfer.suggestions import suggestion

TOKENIZER_KEYS = ("hf_model_name", "hf_tokenizer_name", "tokenizer_mode", "tokenizer_kwargs")


def config(name: str) -> dict[str, Any]:
    """The library's configuration of an architecture; ModelError if there is none."""
    names = open_clip.list_models()
    if name not in names:
        raise ModelError(f"open_clip has no model {name!r}{suggestion(name, names)}")
    return open_clip.get_model_config(name)


def build(name: str, options: Options, classes: int | None) -> nn.Module:
    """Build an image tower with random weights; ModelError for an unknown architecture or options.

    The library builds image towers only inside whole models; its internal helper is used here to avoid
    building a text tower (and downloading its tokenizer).
    """
    entry = _overwritten(name, options)
    try:
        return _build_vision_tower(entry["embed_dim"], entry["vision_cfg"], entry.get("quick_gelu", False))
    except (TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError) as error:
        raise ModelError(f"open_clip/{name}: options {dict(options)} refused ({error})") from None


def build_whole(name: str, options: Options) -> nn.Module:
    """Build a whole model, image and text tower, with random weights.

    Raises:
        ModelError: unknown architecture or options, or the configuration of its Hugging Face text tower could
            not be downloaded.
    """
    entry = _overwritten(name, options)
    custom = entry.pop("custom_text", False) or "hf_model_name" in entry["text_cfg"]
    kind: Any = open_clip.CLIP
    if custom:
        kind = open_clip.CoCa if "multimodal_cfg" in entry else open_clip.CustomTextCLIP
    try:
        return kind(**entry)
    except (TypeError, ValueError, RuntimeError, AssertionError, ArithmeticError, OSError) as error:
        raise ModelError(
            f"open_clip/{name}: cannot be built as a whole with options {dict(options)} ({error})"
        ) from None


def _overwritten(name: str, options: Options) -> dict[str, Any]:
    """The architecture's configuration updated by the options; no entry causes a download of weights."""
    entry = config(name)
    text = options.get("text_cfg") or {}
    if not isinstance(text, Mapping):
        raise ModelError(f"open_clip/{name}: options.text_cfg: {text!r} is not a mapping")
    for key in TOKENIZER_KEYS:
        if key in text:
            raise ModelError(
                f"open_clip/{name}: options.text_cfg.{key}: {text[key]!r} is not allowed; the tokenizer is "
                "the architecture's own"
            )
    vision = {key: value for key, value in options.items() if key not in ("embed_dim", "text_cfg")}
    entry["vision_cfg"] |= {"timm_model_pretrained": False} | vision
    entry["text_cfg"] |= {"hf_model_pretrained": False} | dict(text)
    entry["embed_dim"] = options.get("embed_dim") or entry["embed_dim"]
    return entry


def metadata(name: str, weights: str | None) -> Metadata:
    """Preprocessing of a tower's weights; that of OpenAI's models where no weights are named."""
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
        native = Geometry(resize=(height, width), interpolation=interpolation)
    elif mode == "shortest" and height == width:
        native = Geometry(resize=height, crop=height, interpolation=interpolation)
    return Metadata(
        mean=tuple(entry.get("mean", default.mean)),
        std=tuple(entry.get("std", default.std)),
        size=(height, width),
        native=native,
    )


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image tower of a whole model's state dict; that of a tower is returned unchanged."""
    tower = {key.removeprefix("visual."): value for key, value in state.items() if key.startswith("visual.")}
    return tower or dict(state)


def has_text_tower(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict holds more than an image tower."""
    return any(key.endswith("token_embedding.weight") or "text." in key for key in state)


def adapt_whole(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A whole model's state dict with the names that the installed version of the library uses.

    OpenAI's files hold three sizes beside the weights; older files have the text tower at the top level where
    the network has it in ``text``.
    """
    weights = {
        key: value
        for key, value in state.items()
        if key not in ("input_resolution", "context_length", "vocab_size")
    }
    return convert_to_custom_text_state_dict(weights) if hasattr(network, "text") else weights
