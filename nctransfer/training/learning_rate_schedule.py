"""The learning rate during a training."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from nctransfer.training.settings import LoopSettings


def cosine(epoch: int, epochs: int, start: float, end: float) -> float:
    """Learning rate of an epoch (from 0), annealed from ``start`` towards ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def step_decay(epoch: int, start: float, after: Sequence[int], factor: float) -> float:
    """Learning rate of an epoch (from 0), multiplied by ``factor`` after each count of ``after`` (sorted)."""
    return start * factor ** bisect_right(after, epoch)


def learning_rate(settings: LoopSettings, epoch: int, step: int, steps: int) -> float:
    """Learning rate of a step: linear warm-up by step and cosine by epoch, or a step decay.

    ``epoch`` and ``step`` count complete ones; an epoch has ``steps`` steps.
    """
    start, warm = settings.learning_rate, settings.warmup_epochs
    if settings.decay is not None:
        return step_decay(epoch, start, settings.decay.epochs, settings.decay.factor)
    if epoch < warm:
        return float(start * (epoch * steps + step + 1) / (warm * steps))
    return cosine(epoch - warm, settings.epochs - warm, start, settings.learning_rate_min)
