"""timm's networks, named ``architecture`` or ``architecture.tag``."""

import math
from collections.abc import Mapping
from typing import Any

import timm
from timm.data import resolve_data_config
from timm.models import PretrainedCfg
from torch import Tensor, nn

from nctransfer.data.settings import Geometry
from nctransfer.errors import ModelError
from nctransfer.models.architecture import Metadata, Options
from nctransfer.models.checkpoint import first_line
from nctransfer.suggestions import suggestion


def build(name: str, options: Options, classes: int | None) -> nn.Module:
    """Build a network with random weights; ModelError for an unknown network or option."""
    _check(name)
    arguments = dict(options) | ({"num_classes": classes} if classes is not None else {})
    try:
        return timm.create_model(name, pretrained=False, **arguments)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"timm/{name}: options {dict(options)} refused ({error})") from None


def _check(name: str) -> None:
    architecture, dot, _ = name.partition(".")
    if not timm.is_model(architecture):
        raise ModelError(f"timm has no model {name!r}{suggestion(architecture, timm.list_models())}")
    tags = timm.list_pretrained(f"{architecture}.*")
    if dot and name not in tags:
        raise ModelError(
            f"timm/{architecture} has no weights {name!r}{suggestion(name, tags)}; there are: {tags}"
        )


def entry(name: str) -> PretrainedCfg:
    """The library's entry of a network's weights (default tag if the name has none), or ModelError."""
    _check(name)
    published = timm.get_pretrained_cfg(name)
    return published if published is not None else PretrainedCfg()


def metadata(name: str, weights: str | None) -> Metadata:
    """Preprocessing and classes of a network's weights (default tag if the name has none)."""
    weights_entry = entry(name)
    config = resolve_data_config({}, pretrained_cfg=weights_entry.to_dict())
    height, width = config["input_size"][1:]
    return Metadata(
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        size=(height, width),
        native=geometry(config),
        classes=weights_entry.num_classes,
    )


def geometry(config: Mapping[str, Any]) -> Geometry | None:
    """The evaluation transform of ``timm.data.transforms_factory`` as a geometry.

    None for what a geometry cannot express: resizing the longer side, and inputs that are not square.
    """
    height, width = config["input_size"][1:]
    scaled = math.floor(height / config["crop_pct"])
    if height != width or config["crop_mode"] not in ("center", "squash"):
        return None
    squash = config["crop_mode"] == "squash"
    return Geometry(
        resize=(scaled, scaled) if squash else scaled,
        crop=None if squash and scaled == height else height,
        interpolation=config["interpolation"],
    )


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights unchanged."""
    return dict(state)


def fit(name: str, options: Options, state: Mapping[str, Tensor], classes: int) -> dict[str, Tensor]:
    """Weights of another image size, fitted by timm to that of the options as it does published ones.

    ModelError where timm cannot.
    """
    overlay = {"state_dict": dict(state), "num_classes": classes}
    try:
        network = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes, **options
        )
    except RuntimeError as error:
        raise ModelError(
            f"timm does not fit the weights to the options {dict(options)} ({first_line(error)}); leave "
            "`options` and `size` out"
        ) from None
    return network.state_dict()
