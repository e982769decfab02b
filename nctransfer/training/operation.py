"""Where and how a training runs; changes no result."""

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Operation:
    """Where and how a training runs; changes no result.

    Attributes:
        device: to train on.
        checkpoints: folder of its checkpoints.
        checkpoint_minutes: between two of them; 0 writes one after every epoch.
        tensorboard: folder of its TensorBoard log, None for none.
        prefix_cache_gb: the most that fine-tuning keeps of a frozen prefix; 0 keeps nothing.
        memory_gb: host memory that the job asked for.
    """

    device: torch.device
    checkpoints: Path
    checkpoint_minutes: float = 10.0
    tensorboard: Path | None = None
    prefix_cache_gb: float = 0.0
    memory_gb: float = 16.0
