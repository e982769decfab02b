"""What a probe is trained with, and what a solver hands back."""

import math
from dataclasses import dataclass

from torch import Tensor

from nctransfer.errors import ConfigError


@dataclass(frozen=True)
class ProbeSettings:
    """One way of training a linear probe; the defaults are the paper's (Appendix E).

    Attributes:
        solver: module of ``nctransfer.probing.solvers``; ``sgd`` is the paper's recipe, ``lbfgs`` the
            exact minimum, which reads the weight decay alone.
        learning_rate: at the first epoch.
        final_learning_rate: where the cosine would arrive after the last epoch.
        momentum: of SGD.
        weight_decay: L2 penalty wd/2 (||W||^2 + ||b||^2), bias included, as torch.optim.SGD does.
        epochs: passes over the training set.
        batch_size: samples a step (the paper does not say; 128 is usual).
        seed: of initial weights and order of batches.
    """

    solver: str = "sgd"
    learning_rate: float = 1e-1
    final_learning_rate: float = 1e-4
    momentum: float = 0.9
    weight_decay: float = 1e-4
    epochs: int = 200
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for key in ("learning_rate", "final_learning_rate", "momentum", "weight_decay"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"probe settings: {key} is {value}, allowed are finite numbers from 0")
        for key in ("epochs", "batch_size"):
            value = getattr(self, key)
            if int(value) != value or value < 1:
                raise ConfigError(f"probe settings: {key} is {value}, allowed are whole numbers from 1")

    def learning_rate_at(self, epoch: int) -> float:
        """Cosine annealing, constant within an epoch (torch's CosineAnnealingLR, T_max = epochs)."""
        fall = (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * fall


@dataclass(frozen=True)
class Weights:
    """Classifiers of the U units of a group under P settings.

    Attributes:
        weight: (U, P, K, d).
        bias: (U, P, K).
    """

    weight: Tensor
    bias: Tensor
