"""The points of a figure or table: one per pre-trained model, with its NC1 and its transfer accuracy."""

from collections import Counter
from typing import Any

import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.intervals import with_intervals
from nctransfer.reporting.panels import letter
from nctransfer.reporting.settings import PictureSettings, PointsPanel
from nctransfer.reporting.tidy_rows import (
    PENULTIMATE,
    SAMPLES,
    SIZES,
    TRANSFER,
    Tables,
    penultimate_metrics,
    probe_rows,
)


def points_table(settings: PictureSettings[PointsPanel], tables: Tables) -> pd.DataFrame:
    """Every point of every panel.

    ``tables`` has ``metrics`` on a point's nc1_view and ``probes`` on its view.

    Returns:
        panel, title, series, label, order (of a point in its series, from 0), model, view, nc1_view,
        nc1_dataset, split, nc1 and nc1_shuffled of the penultimate feature on that split, samples, classes,
        width, rank, train_accuracy and transfer_accuracy (%, mean over seeds), its standard deviation (NaN
        for one seed), seeds, test_samples and its 95 % interval transfer_accuracy_low to
        transfer_accuracy_high; one row per panel and point.

    Raises:
        DegenerateInputError: a point has no NC1 or no accuracy; the message names the point and what is
            missing.
    """
    rows = []
    for index, panel in enumerate(settings.panels):
        order: Counter[str] = Counter()
        for point in panel.points:
            name = f"panel {panel.title!r}, point {f'{point.series} {point.label}'.strip()!r}"
            row: dict[str, Any] = {
                "panel": letter(index), "title": panel.title, "series": point.series, "label": point.label,
                "order": order[point.series], "model": point.model, "view": point.view,
                "nc1_view": point.nc1_view, "nc1_dataset": panel.nc1_dataset or point.label,
                "split": panel.split,
            }  # fmt: skip
            collapse = _collapse(tables["metrics", point.model, point.nc1_view], panel.split, name)
            rows.append(row | collapse | _accuracy(tables["probes", point.model, point.view], settings, name))
            order[point.series] += 1
    return with_intervals(pd.DataFrame(rows), TRANSFER, SAMPLES)


def _collapse(metrics: pd.DataFrame, split: str, name: str) -> dict[str, float]:
    names = ("nc1", "nc1_shuffled")
    rows = penultimate_metrics(metrics, split, name, names).set_index("metric")
    sizes = {size: int(rows[size]["nc1"]) for size in SIZES}
    return {metric: float(rows["value"][metric]) for metric in names} | sizes


def _accuracy(probes: pd.DataFrame, settings: PictureSettings[Any], name: str) -> dict[str, float]:
    of_feature = probes[probes["module"] == PENULTIMATE]
    rows = probe_rows(of_feature, settings)
    train, test = (rows.loc[rows["split"] == split, "accuracy"] for split in ("train", "test"))
    if train.empty or test.empty:
        pairs = of_feature[["learning_rate", "weight_decay"]].drop_duplicates().to_numpy()
        raise DegenerateInputError(
            f"{name}: no probe of the penultimate feature with learning rate {settings.learning_rate:g} and "
            f"weight decay {settings.weight_decay:g} on both splits; there are: "
            f"{', '.join(f'{rate:g} and {decay:g}' for rate, decay in pairs) or 'none'}"
        )
    return {
        "train_accuracy": float(train.mean()),
        "transfer_accuracy": float(test.mean()),
        "transfer_accuracy_std": float(test.std()),
        "seeds": len(test),
        SAMPLES: int(rows.loc[test.index[0], "samples"]),
    }
