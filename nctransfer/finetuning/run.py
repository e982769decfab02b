"""One fine-tuning run: from a base model and downstream images to the changed tensors and the accuracies."""

import logging
import resource
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import torch

from nctransfer import variants
from nctransfer.data.image_store import ImageStore
from nctransfer.errors import DataError
from nctransfer.finetuning import methods
from nctransfer.finetuning.data import Pixels
from nctransfer.finetuning.prefix import Prefix, why_not
from nctransfer.finetuning.prefix_cache import Room, cache_prefix
from nctransfer.finetuning.running_statistics import recalibrate
from nctransfer.finetuning.settings import FineTuneJobSettings
from nctransfer.finetuning.tuned_network import TunedNetwork
from nctransfer.finetuning.tuning import ParameterCount, Task, count_parameters
from nctransfer.intervals import with_intervals
from nctransfer.models.checkpoint import write_weights
from nctransfer.models.model_store import load_model
from nctransfer.models.tuned import KIND, WEIGHTS
from nctransfer.stamp import Stamp
from nctransfer.storage.stores import create_store
from nctransfer.storage.tables import write_table
from nctransfer.training import losses
from nctransfer.training.checkpoints import Checkpoints
from nctransfer.training.evaluation import UNAUGMENTED, Shown, evaluate
from nctransfer.training.loop import Data, Training, memory_format
from nctransfer.training.objective import Objective
from nctransfer.training.operation import Operation
from nctransfer.training.settings import LoopSettings
from nctransfer.training.stop_signals import stop_requests
from nctransfer.training.tensorboard import tensorboard

logger = logging.getLogger(__name__)

LOSS = "cross_entropy"


def finetune(
    model: Path,
    stores: Mapping[str, ImageStore],
    manifest: Path,
    settings: FineTuneJobSettings,
    stamp: Stamp,
    operation: Operation,
    checkpoint: Path | None = None,
) -> None:
    """Fine-tune a model, and write its changed tensors, history and accuracies as one store.

    Losses, also on the test split, are the training loss, including label smoothing. ``model`` is the
    manifest of the base model's store, ``stores`` are train and test of the downstream data set;
    arrays/tuned.safetensors, history.parquet and accuracy.parquet are written beside ``manifest``.
    ``checkpoint`` is the weights file of a local base model, which may contain its text tower.

    Raises:
        DataError: the splits have different classes, or a class has fewer images than requested.
        ModelError: a unit that cannot be tuned or has no skip connection, a rank too large, no text tower.
        TrainingError: the loss is not finite, or a stop was requested.
    """
    start, device = time.monotonic(), operation.device
    names, backbone = list(stores["train"].class_names), load_model(model, device)
    task = Task(backbone, names, settings.method, settings.statistics, settings.seed, checkpoint)
    base = backbone.identity.fingerprint
    method = variants.load(methods, settings.method.name, needs=["prepare"])
    tuned: TunedNetwork = method.prepare(task).to(device)
    count = count_parameters(tuned)
    splits = _splits(stores, settings, device)
    logger.info("%d of %d parameters train (%.2f %%)", count.trained, count.all, count.share)
    objective = variants.load(losses, LOSS, "loss").build(settings.loss, len(names)).to(device)
    checkpoints = Checkpoints(operation.checkpoints, stamp, operation.checkpoint_minutes)
    with ExitStack() as contexts:
        history, scores = _train(tuned, objective, splits, settings, checkpoints, operation, contexts)
    with create_store(manifest, KIND, checkpoints.stamp) as store:
        description = {
            "base": base,
            "method": settings.method.name,
            "units": list(tuned.units),
            "skip": list(tuned.backbone.skip),
            "last_unit": tuned.last,
            "lora_scale": tuned.lora_scale,
        }
        write_weights(store.file(WEIGHTS), tuned.tensors(), description)
        write_table(store.file("history.parquet"), history)
        write_table(store.file("accuracy.parquet"), _accuracies(settings, count, history, scores, splits))
        store.meta = {
            **description,
            "run": settings.names.run,
            "class_names": names,
            "settings": settings.told(),
            "images": {name: store.fingerprint for name, store in stores.items()},
        }
    checkpoints.clear()
    _log_costs(device, time.monotonic() - start)


def _splits(
    stores: Mapping[str, ImageStore], settings: FineTuneJobSettings, device: torch.device
) -> dict[str, Pixels]:
    if list(stores["train"].class_names) != list(stores["test"].class_names):
        raise DataError("the training and the test split of the downstream data set have different classes")
    augmentation = UNAUGMENTED if settings.training is None else settings.training.augmentation
    geometry, subset = settings.geometry, (settings.per_class, settings.subset_seed)
    return {
        "train": Pixels(stores["train"], geometry, augmentation, device, *subset),
        "test": Pixels(stores["test"], geometry, UNAUGMENTED, device),
    }


def _train(
    tuned: TunedNetwork,
    objective: Objective,
    splits: dict[str, Pixels],
    settings: FineTuneJobSettings,
    checkpoints: Checkpoints,
    operation: Operation,
    contexts: ExitStack,
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Train to the end; returns the history, and loss and accuracy on both splits."""
    training = settings.training
    if training is None:
        scores = {name: evaluate(tuned, objective, split) for name, split in splits.items()}
        rows = [{"epoch": 0, "split": name, "images": "clean", **score} for name, score in scores.items()]
        return pd.DataFrame(rows), scores
    size = training.batch_size
    if settings.statistics == "recalibrated":
        # in batches; a last, smaller one is dropped, unless it is the only one
        split = splits["train"]
        whole = max(len(split) - len(split) % size, min(size, len(split)))
        batches = torch.arange(whole, device=split.labels.device).split(size)
        recalibrate(tuned, (split.clean(rows) for rows in batches))
    inputs = _network_inputs(tuned, splits, training, operation, contexts)
    data = Data(inputs["train"], inputs["test"], settings.seed)
    advice = "lower the run's learning rate (finetuning.rates) or set finetuning.warmup_epochs"
    run = Training(tuned, objective, data, training, checkpoints, tuned.kept, advice)
    log = contexts.enter_context(tensorboard(operation.tensorboard))
    history = run.run(contexts.enter_context(stop_requests()), log)
    with run.autocast():
        trained = evaluate(tuned, objective, inputs["train"], 4 * size)
    tested = history[history["split"] == "test"].iloc[-1]  # the last epoch is always scored
    return history, {"train": trained, "test": {key: float(tested[key]) for key in trained}}


def _network_inputs(
    tuned: TunedNetwork,
    splits: dict[str, Pixels],
    training: LoopSettings,
    operation: Operation,
    contexts: ExitStack,
) -> Mapping[str, Shown]:
    """Inputs of the network: pixels, or the output of its frozen prefix."""
    reason = why_not(tuned, training.augmentation.level)
    if reason is not None:
        logger.info("every step computes the whole network: %s", reason)
        return splits
    layout, size = memory_format(training, operation.device), training.batch_size
    tuned.to(memory_format=layout)  # as in the training loop
    prefix = Prefix(tuned, training.precision == "bfloat16", layout)
    sizes = {"train": size, "test": 4 * size}
    room = Room(operation.prefix_cache_gb, operation.memory_gb, operation.checkpoints)
    inputs = cache_prefix(prefix, splits, sizes, room)
    contexts.callback(prefix.cut())
    return inputs


def _accuracies(
    settings: FineTuneJobSettings,
    count: ParameterCount,
    history: pd.DataFrame,
    scores: Mapping[str, Mapping[str, float]],
    splits: Mapping[str, Pixels],
) -> pd.DataFrame:
    """Accuracy, with its interval over images, and loss of the run, one row per split."""
    shared = {
        **settings.names.told(),
        "statistics": settings.statistics,
        "epochs": int(history["epoch"].max()),
        "trained": count.trained,
        "parameters": count.all,
        "share": count.share,
    }
    rows = []
    for name, score in scores.items():
        own = {"split": name, "samples": len(splits[name])}
        rows.append(shared | own | {key: score[key] for key in ("accuracy", "loss")})
    return with_intervals(pd.DataFrame(rows))


def _log_costs(device: torch.device, seconds: float) -> None:
    if device.type == "cuda":
        peak, where = torch.cuda.max_memory_allocated(device), "on the GPU"
    else:
        peak, where = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "of this process"
    logger.info("%.1f seconds, at most %.2f GB %s", seconds, peak / 1e9, where)
