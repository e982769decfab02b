"""Pre-trained weights published by torchvision."""

from pathlib import Path

from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures import torchvision as library
from nctransfer.models.checkpoint import load_strictly
from nctransfer.models.fetched import Fetched, download_failed, published_name
from nctransfer.models.settings import ModelJobSettings
from nctransfer.runtime.downloads import downloading


def fetch(settings: ModelJobSettings, checkpoint: Path | None) -> Fetched:
    """Download (or take from the cache) and load the weights; ``checkpoint`` is not used.

    Raises:
        ModelError: unknown name, failed download, wrong checksum, or weights that do not fit.
    """
    name = published_name(settings)
    entry = library.weights_entry(name, settings.weights)
    metadata = library.metadata(name, entry.name)
    architecture = Architecture("torchvision", name, metadata.options, metadata.classes)
    network = architecture.build()
    where = f"torchvision/{name}"
    try:
        with downloading():
            state = entry.get_state_dict(
                progress=False, check_hash=True, map_location="cpu", weights_only=True
            )
    except Exception as error:  # any error of the network, the hub or the reader
        raise download_failed(where, entry.name, error) from error
    load_strictly(network, library.adapt(name, state), f"{where} ({entry.name})")
    return Fetched(network, architecture, metadata, headless=False)
