"""Networks trained in this workflow; their checkpoints say themselves what they are."""

from pathlib import Path

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.checkpoint import load_strictly, read_metadata, read_weights, weights_name
from nctransfer.models.fetched import Fetched, existing
from nctransfer.models.settings import ModelJobSettings
from nctransfer.models.unit_layout import classifying_layers
from nctransfer.storage.stores import MANIFEST, Store

NEEDED = ("architecture", "options", "mean", "std", "size", "classes")


def fetch(settings: ModelJobSettings, checkpoint: Path | None) -> Fetched:
    """Load a checkpoint that a pre-training job wrote.

    Args:
        settings: without the epoch of a snapshot the weights at the end of the training are meant.
        checkpoint: the manifest of a store of kind ``pretraining``, or its safetensors file, with
            the metadata ``architecture`` (library/name), ``options``, ``mean``, ``std``,
            ``size``, ``classes`` and optionally ``class_names`` and ``head`` (false: thrown away
            after training).

    Raises:
        ModelError: the checkpoint is missing, damaged or says too little.
    """
    path = existing(checkpoint or settings.weights, "checkpoint")
    if path.name == MANIFEST:
        path = Store(path, "pretraining").path(weights_name(settings.epoch))
    described = read_metadata(path)
    absent = [key for key in NEEDED if key not in described]
    if absent:
        raise ModelError(
            f"{path}: not a checkpoint of a pre-training job, its metadata lack {', '.join(absent)}"
        )
    architecture = Architecture.parse(described["architecture"], described["options"], described["classes"])
    network = architecture.build()
    state = architecture.module.adapt(architecture.name, read_weights(path))
    headless = described.get("head", True) is False
    load_strictly(network, state, str(path), ignore=classifying_layers(network)[:1] if headless else ())
    size, names = described["size"], described.get("class_names")
    height, width = (size, size) if isinstance(size, int) else size
    metadata = Metadata(
        mean=tuple(described["mean"]),
        std=tuple(described["std"]),
        size=(height, width),
        native=None,
        classes=described["classes"],
        class_names=tuple(names) if names else None,
    )
    return Fetched(network, architecture, metadata, headless=headless)
