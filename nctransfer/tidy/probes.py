"""Linear probes of a model on a view: their weights, and the table of their accuracies."""

import logging
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from nctransfer.features.feature_store import FeatureStore, Stores
from nctransfer.intervals import with_intervals
from nctransfer.probing.probes import Probe, Score, score, train_probes
from nctransfer.probing.settings import ProbeSettings, ProbesJobSettings
from nctransfer.settings import ViewNames
from nctransfer.stamp import Stamp
from nctransfer.storage.stores import create_store
from nctransfer.storage.tables import write_table

logger = logging.getLogger(__name__)


def write_probes(
    stores: Stores,
    manifest: Path,
    settings: ProbesJobSettings,
    device: torch.device,
    stamp: Stamp,
) -> None:
    """Train and test probes, and write their weights and accuracies (accuracy.parquet) as one store.

    DegenerateInputError, naming the unit, for features on which no probe can be trained.
    """
    train, test = stores["train"], stores["test"]
    names = [column.name for column in train.unit_columns]
    combinations = probe_settings(settings)
    features, classes = {name: train[name] for name in names}, len(train.class_names)
    probes = train_probes(features, train.labels, combinations, class_count=classes, device=device)
    scores = score(probes, {name: test[name] for name in names}, test.labels)
    if unconverged := [probe.unit for probe in probes if probe.unconverged]:
        units, count = ", ".join(dict.fromkeys(unconverged)), len(unconverged)
        logger.warning("%d of %d probes have not converged; units %s", count, len(probes), units)
    with create_store(manifest, "probes", stamp) as store:
        table = accuracy_table(train, probes, scores, settings.names, test.labels)
        write_table(store.file("accuracy.parquet"), table)
        for name in names:  # classifiers under all settings: weight (P, K, d), bias (P, K)
            own = [probe for probe in probes if probe.unit == name]
            store.put(f"weight.{name}", np.stack([probe.weights.T.cpu().numpy() for probe in own]))
            store.put(f"bias.{name}", np.stack([probe.bias.cpu().numpy() for probe in own]))
        store.meta = {"solver": settings.solver, "settings": [_named(entry) for entry in combinations]}


def probe_settings(settings: ProbesJobSettings) -> list[ProbeSettings]:
    """Every combination of learning rate, weight decay and seed; for the exact solver, of decays only."""
    exact = settings.solver == "lbfgs"
    rates = settings.learning_rates[:1] if exact else settings.learning_rates
    seeds = settings.seeds[:1] if exact else settings.seeds
    return [
        ProbeSettings(
            solver=settings.solver,
            learning_rate=rate,
            final_learning_rate=settings.learning_rate_min,
            momentum=settings.momentum,
            weight_decay=decay,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            seed=seed,
        )
        for rate, decay, seed in product(rates, settings.weight_decays, seeds)
    ]


def accuracy_table(
    store: FeatureStore, probes: list[Probe], scores: list[Score], names: ViewNames, tested: np.ndarray
) -> pd.DataFrame:
    """Accuracy (%) and cross-entropy of every probe on both splits, one row each.

    ``store`` is that of the training split, ``tested`` the labels of the test images. Accuracies have the
    number of images, samples, and Wilson's 95 % interval, accuracy_low to accuracy_high. right_with_last is
    the number of test images that both this probe and that of the last unit, of the same pooling and
    settings, get right: what a paired comparison needs. objective_gap and unconverged are the probe's
    (:class:`~nctransfer.probing.probes.Probe`). untested_classes is the number of classes without a test
    image, single_classes that of classes with one training image.
    """
    counts = {"untested_classes": (tested, 0), "single_classes": (store.labels, 1)}
    lacking = {
        name: int((np.bincount(labels, minlength=len(store.class_names)) == images).sum())
        for name, (labels, images) in counts.items()
    }
    columns = {column.name: column for column in store.unit_columns}
    last = {column.pooling: column.name for column in sorted(columns.values(), key=lambda entry: entry.unit)}
    right = {(probe.unit, probe.settings): on.right for probe, on in zip(probes, scores, strict=True)}
    rows = []
    for probe, on_test in zip(probes, scores, strict=True):
        column = columns[probe.unit]
        shared = {**names.told(), **column.place}
        shared |= {"solver": probe.settings.solver, **_named(probe.settings), "objective": probe.objective}
        shared |= {"objective_gap": probe.gap, "unconverged": probe.unconverged}
        both = int((on_test.right & right[last[column.pooling], probe.settings]).sum())
        for split, images, accuracy, entropy, paired in (
            ("train", len(store.labels), probe.train_accuracy, probe.cross_entropy, np.nan),
            ("test", len(tested), on_test.accuracy, on_test.cross_entropy, both),
        ):
            measured = {"split": split, "samples": images, "accuracy": accuracy, "cross_entropy": entropy}
            rows.append(shared | measured | {"right_with_last": paired} | lacking)
    return with_intervals(pd.DataFrame(rows))


def _named(settings: ProbeSettings) -> dict[str, Any]:
    rates = {"learning_rate": settings.learning_rate, "weight_decay": settings.weight_decay}
    return rates | {"seed": settings.seed}
