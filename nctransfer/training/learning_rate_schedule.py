"""The learning rate during a training."""

import math
from bisect import bisect_right

from nctransfer.training.settings import LoopSettings


def cosine(epoch: int, epochs: int, start: float, end: float) -> float:
    """Learning rate of an epoch (from 0), annealed from ``start`` towards ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def learning_rate(settings: LoopSettings, epoch: int, step: int, steps: int) -> float:
    """Learning rate of a step: linear warm-up by step and cosine by epoch, or a step decay.

    ``epoch`` and ``step`` count complete ones; an epoch has ``steps`` steps.
    """
    start, warm = settings.learning_rate, settings.warmup_epochs
    if settings.decay is not None:
        # one factor after each of these counts of epochs, which are sorted
        return start * settings.decay.factor ** bisect_right(settings.decay.epochs, epoch)
    if epoch < warm:
        return float(start * (epoch * steps + step + 1) / (warm * steps))
    return cosine(epoch - warm, settings.epochs - warm, start, settings.learning_rate_min)
