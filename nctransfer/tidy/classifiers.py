"""The table of NC3 and NC4: alignment of the probes' classifiers with the class means."""

from pathlib import Path

import pandas as pd
import torch

from nctransfer.collapse.inputs import as_tensor
from nctransfer.collapse.measure import measure_classifier
from nctransfer.features.feature_store import Stores
from nctransfer.settings import ViewNames
from nctransfer.storage.stores import Store
from nctransfer.tidy.collapse import label, metric_rows


def classifier_table(stores: Stores, probes: Path, names: ViewNames, device: torch.device) -> pd.DataFrame:
    """Measure every trained probe (of the store ``probes``) on its features, given by split.

    Returns:
        the columns of :func:`nctransfer.tidy.collapse.collapse_table`, and learning_rate, weight_decay and
            seed of the probe.
    """
    trained = Store(probes, "probes")
    rows = []
    for split, store in stores.items():
        labels = torch.from_numpy(store.labels).to(device)
        for column in store.unit_columns:
            features = as_tensor(store[column.name]).to(device)
            weights, biases = trained.array(f"weight.{column.name}"), trained.array(f"bias.{column.name}")
            for setting, weight, bias in zip(trained.manifest["settings"], weights, biases, strict=True):
                measurement = measure_classifier(
                    features,
                    labels,
                    as_tensor(weight).to(device),
                    as_tensor(bias).to(device),
                    classes=len(store.class_names),
                    name=label(column, split),
                )
                rows += [row | setting for row in metric_rows(names, split, column, measurement)]
    return pd.DataFrame(rows)
