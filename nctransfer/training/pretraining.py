"""From image stores to the weights of a source model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from nctransfer.data.geometry import apply_geometry
from nctransfer.data.image_store import ImageStore
from nctransfer.errors import DataError
from nctransfer.models.architecture import Architecture
from nctransfer.models.weights import write_weights
from nctransfer.storage.files import write_table
from nctransfer.storage.stores import create_store
from nctransfer.training.loop import Split, Standardisation, train


def pretrain(
    stores: Mapping[str, ImageStore],
    manifest: Path,
    settings: Mapping[str, Any],
    device: torch.device,
    recipe: str,
) -> None:
    """Train a source model and write its weights and history as one store.

    Args:
        stores: the source data set, train and test.
        manifest: where the store's manifest will be; beside it weights.safetensors and history.parquet.
        settings: architecture, options, geometry, size, training, seed.
        device: device to train on.
        recipe: digest of the job.

    Raises:
        ModelError: the architecture is not known.
        DataError: the splits differ in their classes.
    """
    if list(stores["train"].class_names) != list(stores["test"].class_names):
        raise DataError("the training and the test split of the source data set name different classes")
    torch.manual_seed(settings["seed"])
    classes = len(stores["train"].class_names)
    architecture = Architecture.parse(settings["architecture"], settings["options"], classes)
    network = architecture.build().to(device)
    splits = {name: load_split(store, settings["geometry"], device) for name, store in stores.items()}
    scale = Standardisation.of(splits["train"].images)
    history = train(network, splits, scale, settings["training"], settings["seed"])
    with create_store(manifest, "pretraining", recipe) as result:
        described = {
            "architecture": settings["architecture"],
            "options": settings["options"],
            "mean": scale.mean,
            "std": scale.std,
            "size": settings["size"],
            "classes": classes,
            "class_names": list(stores["train"].class_names),
        }
        write_weights(result.file("weights.safetensors"), network.state_dict(), described)
        write_table(result.file("history.parquet"), history, recipe)
        result.meta = {
            "settings": dict(settings),
            "images": {name: store.fingerprint for name, store in stores.items()},
        }


def load_split(store: ImageStore, geometry: Mapping[str, Any], device: torch.device) -> Split:
    """Bring a whole split to the device as uint8, at the size that the network is shown."""
    blocks = [
        apply_geometry(
            torch.from_numpy(store.read(start, min(start + 1024, len(store)))).permute(0, 3, 1, 2), geometry
        )
        for start in range(0, len(store), 1024)
    ]
    labels = torch.from_numpy(store.labels.astype("int64"))
    return Split(torch.cat(blocks).to(device), labels.to(device))
