"""Training of a source model from image stores."""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import torch

from nctransfer import variants
from nctransfer.data.image_store import ImageStore
from nctransfer.data.keyed_random import Stream, stream_seed
from nctransfer.data.resize import apply_geometry
from nctransfer.data.settings import Geometry
from nctransfer.errors import DataError, ModelError, TrainingError
from nctransfer.models.architecture import Architecture
from nctransfer.models.checkpoint import first_line, weights_name, write_weights
from nctransfer.models.unit_layout import classifying_layers
from nctransfer.stamp import Stamp
from nctransfer.storage.files import link_or_copy
from nctransfer.storage.stores import ARRAYS, create_store
from nctransfer.storage.tables import write_table
from nctransfer.training import losses
from nctransfer.training.checkpoints import Checkpoints
from nctransfer.training.evaluation import Split, Standardisation, Standardised
from nctransfer.training.heads import attach_head, without_head
from nctransfer.training.loop import Data, Training
from nctransfer.training.objective import Objective
from nctransfer.training.operation import Operation
from nctransfer.training.settings import AugmentationSettings, PretrainJobSettings
from nctransfer.training.stop_signals import stop_requests
from nctransfer.training.tensorboard import tensorboard

logger = logging.getLogger(__name__)


def pretrain(
    stores: Mapping[str, ImageStore],
    manifest: Path,
    settings: PretrainJobSettings,
    stamp: Stamp,
    operation: Operation,
) -> None:
    """Train a source model on ``stores`` (train and test), and write one store.

    history.parquet, and in ``arrays`` weights.safetensors and the snapshots, are written beside its
    ``manifest``.

    Raises:
        ModelError: unknown architecture, one that does not accept images of this size, or one without a
            single linear head for a projection.
        DataError: the splits have different classes.
        TrainingError: the loss is not finite, or a stop was requested.
    """
    if list(stores["train"].class_names) != list(stores["test"].class_names):
        raise DataError("the training and the test split of the source data set have different classes")
    device, training = operation.device, settings.training
    splits = {
        name: load_split(store, settings.geometry, training.augmentation, device)
        for name, store in stores.items()
    }
    scale = Standardisation.of(splits["train"].images)
    network, objective, weights = _build(settings, len(stores["train"].class_names), device)
    described = {
        "architecture": settings.architecture,
        "options": settings.options,
        "mean": scale.mean,
        "std": scale.std,
        "size": settings.size,
        "classes": len(stores["train"].class_names),
        "class_names": list(stores["train"].class_names),
        "head": _keeps_head(settings, objective),
    }
    checkpoints = Checkpoints(operation.checkpoints, stamp, operation.checkpoint_minutes, described)
    data = Data(splits["train"], splits["test"], settings.seed)
    whole = Standardised(network, scale).to(device)
    run = Training(whole, objective, data, training, checkpoints, weights)
    with ExitStack() as contexts:
        log = contexts.enter_context(tensorboard(operation.tensorboard))
        history = run.run(contexts.enter_context(stop_requests()), log)
        history = pd.concat([history, pd.DataFrame([run.on_clean_training_images()])], ignore_index=True)
    with create_store(manifest, "pretraining", checkpoints.stamp) as result:
        write_weights(result.file(f"{ARRAYS}/{weights_name()}"), weights(), described)
        write_table(result.file("history.parquet"), history)
        for epoch in training.snapshots:
            link_or_copy(checkpoints.snapshot_path(epoch), result.file(f"{ARRAYS}/{weights_name(epoch)}"))
        result.meta = {
            "settings": settings.told(),
            "images": {name: store.fingerprint for name, store in stores.items()},
        }
    checkpoints.clear()


def _build(
    settings: PretrainJobSettings, classes: int, device: torch.device
) -> tuple[torch.nn.Module, Objective, Callable[[], Mapping[str, torch.Tensor]]]:
    """Network with its training head, objective, and a function that returns the weights to store."""
    torch.manual_seed(stream_seed(settings.seed, Stream.NETWORK))
    loss, projection = settings.training.loss, settings.training.projection
    objective: Objective = variants.load(losses, loss.name, "loss", ["build"]).build(loss, classes)
    architecture = Architecture.parse(settings.architecture, settings.options, classes)
    network = architecture.build()
    _refuse_wrong_size(network, settings)
    if _keeps_head(settings, objective):
        return network.to(device), objective.to(device), network.state_dict
    if projection is None:
        raise TrainingError(f"loss {loss.name}: needs a projection head, training.projection")
    head, *others = classifying_layers(network)
    if others:
        raise ModelError(
            f"{settings.architecture}: has several classification layers ({head}, {', '.join(others)}); a "
            "projection head can replace one only"
        )
    attach_head(network, head, projection, classes if objective.classifies else None)
    return network.to(device), objective.to(device), lambda: without_head(network.state_dict(), head)


def _refuse_wrong_size(network: torch.nn.Module, settings: PretrainJobSettings) -> None:
    """Raise ModelError where the network does not accept a blank image of the input size."""
    height, width = settings.size
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, height, width))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ModelError(
            f"{settings.architecture}: does not accept images of {height} x {width} px "
            f"({first_line(error)}); change size, or the architecture's options"
        ) from None


def _keeps_head(settings: PretrainJobSettings, objective: Objective) -> bool:
    """Whether the classifier is part of the model; with a projection it is removed after training."""
    return settings.training.projection is None and objective.classifies


def load_split(
    store: ImageStore, geometry: Geometry, augmentation: AugmentationSettings, device: torch.device
) -> Split:
    """Load a whole split to the device as uint8, at the input size of the network."""
    pending = store.pending(geometry)
    blocks = [
        apply_geometry(torch.from_numpy(images).permute(0, 3, 1, 2), pending)
        for images in store.batches(1024)
    ]
    labels = torch.from_numpy(store.labels.astype("int64"))
    return Split(torch.cat(blocks).to(device), labels.to(device), augmentation)
