"""Weights in a file of the user's, with the name of an architecture."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.fetched import Fetched, existing
from nctransfer.models.layout import Layout
from nctransfer.models.weights import load_strictly, read_metadata, read_weights
from nctransfer.plan import variants


def fetch(settings: Mapping[str, Any], checkpoint: Path | None) -> Fetched:
    """Build the architecture and load the file.

    Args:
        settings: ``architecture`` (library/name), ``weights`` (file), ``family``; optional
            ``options`` of the builder, ``mean`` and ``std`` (default: what the library says of
            the architecture's own weights), ``size``, and ``head`` (false leaves the
            classification layer out; it may then be absent or of any shape).
        checkpoint: the file, instead of ``weights``.

    Raises:
        ModelError: missing, damaged, pickled or ill-fitting weights, or unknown mean and std.
    """
    path = existing(checkpoint or settings.get("weights"), "weights")
    architecture = Architecture.parse(settings.get("architecture", ""), settings.get("options"))
    metadata = architecture.metadata()
    if architecture.library == "open_clip":
        # its architectures are published with several: which one is the file's own to know
        metadata = replace(metadata, mean=None, std=None)
    metadata = _prepared(metadata, _given(settings, path), path)
    architecture = replace(architecture, options={**metadata.options, **architecture.options})
    state = architecture.module.adapt(architecture.name, read_weights(path))
    network, layout = _built(architecture, settings["family"])
    if settings.get("head", True) is False:
        load_strictly(network, state, str(path), ignore=layout.heads)
        return Fetched(network, architecture, metadata, headless=True)
    classes = _classes(state, layout, network)
    if classes is not None:
        architecture = replace(architecture, classes=classes)
        network, layout = _built(architecture, settings["family"])
    load_strictly(network, state, str(path))
    return Fetched(network, architecture, metadata, headless=False)


def _built(architecture: Architecture, family: str) -> tuple[nn.Module, Layout]:
    network = architecture.build()
    return network, variants.load("nctransfer.models.families", family).describe(network)


def _classes(state: Mapping[str, Tensor], layout: Layout, network: nn.Module) -> int | None:
    """Number of classes of the file's head, where it differs from the library's default."""
    if not layout.heads:
        return None
    key = f"{layout.heads[0]}.weight"
    own = network.state_dict().get(key)
    given = state.get(key)
    if own is None or given is None or own.shape == given.shape:
        return None
    return given.shape[0]


def _given(settings: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The file's own metadata, overwritten by what the configuration says."""
    return read_metadata(path) | {key: value for key, value in settings.items() if value is not None}


def _prepared(metadata: Metadata, given: Mapping[str, Any], path: Path) -> Metadata:
    """The library's metadata, overwritten by what is given."""
    mean, std = given.get("mean") or metadata.mean, given.get("std") or metadata.std
    if mean is None or std is None:
        raise ModelError(
            f"{path}: `mean` and `std` of its training images must be given (three values in 0-1)"
        )
    size = given.get("size") or metadata.size
    height, width = (size, size) if isinstance(size, int) else size
    # The library's class names belong to its own weights, not to these.
    return replace(metadata, mean=tuple(mean), std=tuple(std), size=(height, width), class_names=None)
