"""The history of a training, epoch by epoch."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class HistoryRow:
    """Loss and accuracy on a split after an epoch; the fields are the columns of the history.

    Those of the training split are measured while it trains, on the images that it is shown; of a source
    model the last rows also have those of the finished network on clean training images.
    """

    epoch: int  # from 1; 0 of an untrained network
    steps: int  # updates of the weights until then
    split: str  # ``train`` or ``test``
    images: str  # ``clean``, ``augmented`` (as the training shows them, at any level) or ``adversarial``
    learning_rate: float  # of the last step of the epoch
    loss: float  # mean over the images
    accuracy: float  # in percent, NaN where no class can be predicted yet


Log = Callable[[list[HistoryRow]], None]
"""Called with the rows of each epoch."""


def clean_accuracies(history: pd.DataFrame, epoch: int | None = None) -> dict[str, float]:
    """Accuracy (percent) on the clean images of each split after an epoch, or after the last that has one.

    A split without such a row is left out.
    """
    rows = history[(history["images"] == "clean") & history["accuracy"].notna()]
    if epoch is not None:
        rows = rows[rows["epoch"] == epoch]
    return {str(split): float(part["accuracy"].iloc[-1]) for split, part in rows.groupby("split")}
