"""The table of collapse metrics: one row per unit, pooling, split and metric."""

import logging
from typing import Any

import pandas as pd
import torch

from nctransfer.collapse.inputs import as_tensor
from nctransfer.collapse.measure import Measurement, measure
from nctransfer.collapse.settings import MetricsJobSettings
from nctransfer.features.feature_store import Column, Stores
from nctransfer.settings import ViewNames

logger = logging.getLogger(__name__)


def collapse_table(stores: Stores, settings: MetricsJobSettings, device: torch.device) -> pd.DataFrame:
    """Measure every unit of every split.

    Returns:
        columns model, view, split, unit, module, pooling, metric, value, samples, classes, dropped_classes,
            width, rank. A metric that is undefined for these features has no row.

    Raises:
        DegenerateInputError: features for which no metric is defined; the unit is named.
    """
    rows = []
    for split, store in stores.items():
        labels = torch.from_numpy(store.labels).to(device)
        for column in store.unit_columns:
            measurement = measure(
                as_tensor(store[column.name]).to(device),
                labels,
                classes=len(store.class_names),
                permutations=settings.permutations,
                seed=settings.seed,
                name=label(column, split),
            )
            rows += metric_rows(settings.names, split, column, measurement)
            for metric, reason in measurement.undefined.items():
                logger.info("%s has no value: %s", metric, reason)
    return pd.DataFrame(rows)


def label(column: Column, split: str) -> str:
    """Name of a column in messages."""
    pooling = f", {column.pooling}" if column.pooling else ""
    return f"unit {column.unit} ({column.module}{pooling}), {split} split"


def metric_rows(
    names: ViewNames, split: str, column: Column, measurement: Measurement
) -> list[dict[str, Any]]:
    """Rows of one measurement."""
    shared = {**names.told(), "split": split, **column.place}
    sizes = {
        "samples": measurement.samples,
        "classes": measurement.classes,
        "dropped_classes": measurement.dropped_classes,
        "width": measurement.width,
        "rank": measurement.rank,
    }
    values = measurement.values.items()
    return [shared | {"metric": metric, "value": value} | sizes for metric, value in values]
