"""The learning rate over a training."""

import math
from collections.abc import Mapping
from typing import Any


def cosine(epoch: int, epochs: int, start: float, end: float) -> float:
    """Learning rate of an epoch (from 0), annealed from ``start`` towards ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def learning_rate(settings: Mapping[str, Any], epoch: int, step: int, steps: int) -> float:
    """Learning rate of a step: a linear rise step by step, then a cosine epoch by epoch.

    Args:
        settings: learning_rate, learning_rate_min, warmup_epochs, epochs.
        epoch: complete epochs.
        step: complete steps of the epoch under way.
        steps: of an epoch.
    """
    start, warm = settings["learning_rate"], settings["warmup_epochs"]
    if epoch < warm:
        return float(start * (epoch * steps + step + 1) / (warm * steps))
    return cosine(epoch - warm, settings["epochs"] - warm, start, settings["learning_rate_min"])
