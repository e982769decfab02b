"""Networks trained in this workflow; their checkpoints describe themselves."""

from pathlib import Path

from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture, Metadata
from nctransfer.models.checkpoint import load_strictly, read_metadata, read_weights, weights_name
from nctransfer.models.fetched import Fetched, existing
from nctransfer.models.settings import ModelJobSettings
from nctransfer.models.unit_layout import classifying_layers
from nctransfer.storage.stores import ARRAYS, MANIFEST, Store

NEEDED = ("architecture", "options", "mean", "std", "size", "classes")


def fetch(settings: ModelJobSettings, checkpoint: Path | None) -> Fetched:
    """Load a checkpoint written by a pre-training job.

    ``checkpoint`` is the manifest of a store of kind ``pretraining`` (final weights, or the snapshot of the
    settings' epoch), or a safetensors file with the metadata ``architecture`` (library/name), ``options``,
    ``mean``, ``std``, ``size``, ``classes`` and optionally ``class_names`` and ``head`` (false: removed after
    training). Raises ModelError: the checkpoint is missing, damaged or lacks metadata.
    """
    path = existing(checkpoint or settings.weights, "checkpoint")
    if path.name == MANIFEST:
        path = Store(path, "pretraining").path(f"{ARRAYS}/{weights_name(settings.epoch)}")
    stored = read_metadata(path)
    missing = [key for key in NEEDED if key not in stored]
    if missing:
        raise ModelError(
            f"{path}: not a checkpoint of a pre-training job, its metadata lack {', '.join(missing)}"
        )
    architecture = Architecture.parse(stored["architecture"], stored["options"], stored["classes"])
    network = architecture.build()
    state = architecture.module.adapt(architecture.name, read_weights(path))
    headless = stored.get("head", True) is False
    load_strictly(network, state, str(path), ignore=classifying_layers(network)[:1] if headless else ())
    size, names = stored["size"], stored.get("class_names")
    height, width = (size, size) if isinstance(size, int) else size
    metadata = Metadata(
        mean=tuple(stored["mean"]),
        std=tuple(stored["std"]),
        size=(height, width),
        native=None,
        classes=stored["classes"],
        class_names=tuple(names) if names else None,
    )
    return Fetched(network, architecture, metadata, headless=headless)
