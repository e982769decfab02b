"""Pre-trained weights that torchvision publishes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures import torchvision as library
from nctransfer.models.fetched import Fetched, download_failed
from nctransfer.models.weights import load_strictly


def fetch(settings: Mapping[str, Any], checkpoint: Path | None) -> Fetched:
    """Download (or take from torch's cache) and load the weights.

    Args:
        settings: ``name`` and ``weights`` (an entry of the library's enumeration, or None
            for its default).
        checkpoint: not used.

    Raises:
        ModelError: unknown name, failed download, wrong checksum, or weights that do not fit.
    """
    name = settings["name"]
    entry = library.weights_entry(name, settings.get("weights"))
    metadata = library.metadata(name, entry.name)
    architecture = Architecture("torchvision", name, metadata.options, metadata.classes)
    network = architecture.build()
    where = f"torchvision/{name}"
    try:
        state = entry.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever the transport, the hub or the reader raise
        raise download_failed(where, entry.name, error) from error
    load_strictly(network, library.adapt(name, state), f"{where} ({entry.name})")
    return Fetched(network, architecture, metadata, headless=False)
