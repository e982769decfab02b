"""Where and how a training runs; does not affect results."""

from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Operation:
    """Where and how a training runs; does not affect results."""

    device: torch.device
    checkpoints: Path  # folder of its checkpoints
    checkpoint_minutes: float = 10.0  # between two of them; 0 writes one after every epoch
    tensorboard: Path | None = None  # folder of its TensorBoard log, None for no log
    prefix_cache_gb: float = 0.0  # largest size of a frozen-prefix cache in fine-tuning; 0 caches nothing
    memory_gb: float = 16.0  # host memory that the job requested
