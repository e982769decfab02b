"""The history of a training: what it reached, epoch by epoch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class HistoryRow:
    """What a training had reached on a split after an epoch; the fields are the history's columns.

    Attributes:
        epoch: from 1.
        split: ``train`` or ``test``.
        images: ``clean`` or ``adversarial``.
        learning_rate: of the epoch's last step.
        loss: mean over the images.
        accuracy: in percent, NaN where nothing names a class yet.
    """

    epoch: int
    split: str
    images: str
    learning_rate: float
    loss: float
    accuracy: float


Log = Callable[[list[HistoryRow]], None]
"""Is told the rows of every epoch."""
