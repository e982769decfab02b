"""Weights in a file of the user, with the name of an architecture."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from nctransfer import variants
from nctransfer.errors import ModelError
from nctransfer.models import unit_layouts
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.architectures import timm as timm_networks
from nctransfer.models.checkpoint import load_strictly, read_metadata
from nctransfer.models.fetched import Fetched, existing
from nctransfer.models.foreign_weights import choose, read_file
from nctransfer.models.settings import ModelJobSettings
from nctransfer.models.unit_layout import UnitLayout


def fetch(settings: ModelJobSettings, checkpoint: Path | None) -> Fetched:
    """Build the architecture and load the file, ``checkpoint`` or the settings' ``weights``.

    Mean, std and size default to those in the file, or in the library. Without a usable head the
    classification layer is removed; it may then be missing or of any shape. ModelError for missing, damaged,
    pickled or unsuitable weights, or unknown mean and std.
    """
    path = existing(checkpoint or settings.weights, "weights")
    architecture = Architecture.parse(settings.architecture or "", settings.options)
    metadata = architecture.metadata()
    if architecture.library == "open_clip":
        # the library publishes its architectures with several means and stds; only the user knows the file's
        metadata = replace(metadata, mean=None, std=None)
    metadata = _prepared(metadata, settings, path)
    architecture = replace(architecture, options={**metadata.options, **architecture.options})
    network, layout = _built(architecture, settings.unit_layout)
    state = choose(
        read_file(path), path, network.state_dict(), partial(architecture.module.adapt, architecture.name),
        layout.heads, settings.weights_key, settings.weights_prefix,
    )  # fmt: skip
    if architecture.library == "timm" and "img_size" in architecture.options:
        state = _fitted(state, architecture, network, layout, path)
    if not settings.head:
        load_strictly(network, state, str(path), ignore=layout.heads)
        return Fetched(network, architecture, metadata, headless=True)
    classes = _classes(state, layout, network)
    if classes is not None:
        architecture = replace(architecture, classes=classes)
        network, layout = _built(architecture, settings.unit_layout)
    load_strictly(network, state, str(path))
    return Fetched(network, architecture, metadata, headless=False)


def _built(architecture: Architecture, unit_layout: str) -> tuple[nn.Module, UnitLayout]:
    network = architecture.build()
    return network, variants.load(unit_layouts, unit_layout, needs=["describe"]).describe(network)


def _fitted(
    state: dict[str, Tensor],
    architecture: Architecture,
    network: nn.Module,
    layout: UnitLayout,
    path: Path,
) -> dict[str, Tensor]:
    """The file's weights, fitted by timm to the image size of the options if they are of another."""
    own, heads = network.state_dict(), tuple(f"{head}." for head in layout.heads)
    shared = [name for name in state.keys() & own.keys() if not name.startswith(heads)]
    if all(state[name].shape == own[name].shape for name in shared):
        return state
    head = {name: value for name, value in own.items() if name.startswith(heads)}
    whole = head | state  # timm loads strictly
    classes = whole[f"{layout.heads[0]}.weight"].shape[0] if heads else 0
    try:
        fitted = timm_networks.fit(architecture.name, architecture.options, whole, classes)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    return {name: value for name, value in fitted.items() if name in state}


def _classes(state: Mapping[str, Tensor], layout: UnitLayout, network: nn.Module) -> int | None:
    """Number of classes of the file's head, where it differs from the library's default."""
    if not layout.heads:
        return None
    key = f"{layout.heads[0]}.weight"
    default = network.state_dict().get(key)
    stored = state.get(key)
    if default is None or stored is None or default.shape == stored.shape:
        return None
    return stored.shape[0]


def _prepared(metadata: Metadata, settings: ModelJobSettings, path: Path) -> Metadata:
    """The library's metadata, overwritten by those in the file, and these by the settings."""
    file_metadata = read_metadata(path)
    mean = settings.mean or file_metadata.get("mean") or metadata.mean
    std = settings.std or file_metadata.get("std") or metadata.std
    if mean is None or std is None:
        raise ModelError(f"{path}: `mean` and `std` of its training images must be set (three values in 0-1)")
    size = settings.size or file_metadata.get("size") or metadata.size
    height, width = (size, size) if isinstance(size, int) else size
    # the library's class names belong to its own weights, not to these
    return replace(metadata, mean=tuple(mean), std=tuple(std), size=(height, width), class_names=None)
