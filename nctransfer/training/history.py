"""The history of a training, epoch by epoch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class HistoryRow:
    """Loss and accuracy on a split after an epoch; the fields are the columns of the history."""

    epoch: int  # from 1; 0 of an untrained network
    split: str  # ``train`` or ``test``
    images: str  # ``clean`` or ``adversarial``
    learning_rate: float  # of the last step of the epoch
    loss: float  # mean over the images
    accuracy: float  # in percent, NaN where no class can be predicted yet


Log = Callable[[list[HistoryRow]], None]
"""Called with the rows of each epoch."""
