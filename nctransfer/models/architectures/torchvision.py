"""torchvision's image classifiers."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision import models
from torchvision.models import WeightsEnum

from nctransfer.data.settings import Geometry
from nctransfer.errors import ModelError
from nctransfer.models.architecture import Metadata, Options
from nctransfer.suggestions import suggestion

WITH_AUXILIARY_HEADS = ("googlenet", "inception_v3")
# DenseNet checkpoints use the names of an older version of the network.
OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$"
)


def build(name: str, options: Options, classes: int | None) -> nn.Module:
    """Build a network with random weights, no auxiliary heads; ModelError for an unknown name or option."""
    _check(name)
    arguments = dict(options)
    if name in WITH_AUXILIARY_HEADS:
        arguments |= {"aux_logits": False, "init_weights": False}
    if classes is not None:
        arguments["num_classes"] = classes
    try:
        return models.get_model(name, weights=None, **arguments)
    except (TypeError, ValueError) as error:
        raise ModelError(f"torchvision/{name}: options {dict(options)} refused ({error})") from None


def _check(name: str) -> None:
    names = models.list_models(module=models)
    if name in names:
        return
    if name in models.list_models():
        raise ModelError(f"torchvision/{name} exists, but is not supported: {not_a_classifier(name)}")
    raise ModelError(f"torchvision has no model {name!r}{suggestion(name, names)}")


def not_a_classifier(name: str) -> str:
    """What a network is for that is no classifier of images, as its module says."""
    task = models.get_model_builder(name).__module__.split(".")[2]
    return f"no classifier of images (torchvision.models.{task})"


def weights_entry(name: str, weights: str | None) -> WeightsEnum:
    """The library's entry of these weights (None: its default); ModelError for an unknown name or weights."""
    _check(name)
    entries = models.get_model_weights(name)
    if weights is None:
        return entries["DEFAULT"]
    if weights not in entries.__members__:
        allowed = [entry.name for entry in entries]
        raise ModelError(
            f"torchvision/{name} has no weights {weights!r}{suggestion(weights, allowed)}; "
            f"there are: {', '.join(allowed)}"
        )
    return entries[weights]


def metadata(name: str, weights: str | None) -> Metadata:
    """Preprocessing, classes and options of a network's weights."""
    entry = weights_entry(name, weights)
    transform = entry.transforms()
    options: dict[str, Any] = {}
    if name in WITH_AUXILIARY_HEADS:
        # these weights expect inputs in [-1, 1]; the network converts from ImageNet's normalisation itself
        options["transform_input"] = True
    if name.startswith("vit_"):
        options["image_size"] = entry.meta["min_size"][0]
    if name.startswith("maxvit"):
        options["input_size"] = list(entry.meta["min_size"])
    crop = transform.crop_size[0]
    categories = entry.meta.get("categories")
    return Metadata(
        mean=tuple(transform.mean),
        std=tuple(transform.std),
        size=(crop, crop),
        native=Geometry(
            resize=transform.resize_size[0],
            crop=crop,
            interpolation=transform.interpolation.value,
            rounding="once",
        ),
        classes=len(categories) if categories else None,
        class_names=tuple(categories) if categories else None,
        options=options,
    )


def adapt(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of a published state dict to those of the current network; drop auxiliary heads."""
    if name in WITH_AUXILIARY_HEADS:
        state = {key: value for key, value in state.items() if not key.lower().startswith("aux")}
    if name.startswith("densenet"):
        state = {OLD_DENSENET.sub(r"\1\2", key): value for key, value in state.items()}
    return dict(state)
