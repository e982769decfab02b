"""Select the rows of tidy tables that figures and tables show."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.settings import PictureSettings

Tables = Mapping[tuple[str, str, str], pd.DataFrame]  # tidy tables by name, model and view

PENULTIMATE = "penultimate"
TRANSFER = "transfer_accuracy"
SAMPLES = "test_samples"  # number of test images behind an accuracy
PAIRED = "right_with_last"  # number of test images that a unit's probe and the last unit's both get right
SIZES = ("samples", "classes", "width", "rank")  # on which NC1 depends


def penultimate_metrics(
    metrics: pd.DataFrame, split: str, name: str, needed: Sequence[str] = ("nc1",)
) -> pd.DataFrame:
    """Rows of the penultimate feature; DegenerateInputError, with those there are, if one is missing."""
    rows = metrics[(metrics["module"] == PENULTIMATE) & (metrics["split"] == split)]
    for metric in needed:
        if metric not in set(rows["metric"]):
            raise DegenerateInputError(
                f"{name}: the metrics have no {metric} of the penultimate feature, {split} split; "
                f"there are: {', '.join(rows['metric']) or 'none'}"
            )
    return rows


def probe_rows(probes: pd.DataFrame, settings: PictureSettings[Any]) -> pd.DataFrame:
    """Rows of the probes that are shown, selected by learning rate and weight decay."""
    at_rate = probes["learning_rate"] == settings.learning_rate
    return probes[at_rate & (probes["weight_decay"] == settings.weight_decay)]
