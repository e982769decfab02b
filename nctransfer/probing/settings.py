"""How probes are trained: the section, what the job is told, and one probe's own settings."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field

from nctransfer.errors import ConfigError
from nctransfer.settings import Count, Device, Distinct, NonNegative, Positive, Settings, ViewNames


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
        values = asdict(self)
        for key in ("learning_rate", "final_learning_rate", "momentum", "weight_decay"):
            value = values[key]
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"probe settings: {key} is {value}, allowed are finite numbers from 0")
        for key in ("epochs", "batch_size"):
            value = values[key]
            if int(value) != value or value < 1:
                raise ConfigError(f"probe settings: {key} is {value}, allowed are whole numbers from 1")

    def learning_rate_at(self, epoch: int) -> float:
        """Cosine annealing, constant within an epoch (torch's CosineAnnealingLR, T_max = epochs)."""
        fall = (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * fall


class ProbeRecipeSettings(Settings):
    """How linear probes are trained; every combination of rates and decays is, in one run."""

    solver: str = "sgd"
    """Variant of `nctransfer.probing.solvers`: sgd is the paper's recipe; lbfgs the exact minimum of the same
    objective."""
    epochs: Count = 200
    """Passes over the training split (sgd)."""
    batch_size: Count = 128
    """Samples per step (sgd)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum (sgd)."""
    learning_rates: Distinct[Positive] = (0.1,)
    """Learning rates at the start of the cosine (sgd), all trained in one run."""
    learning_rate_min: NonNegative = 0.0001
    """Learning rate at the end of the cosine (sgd)."""
    weight_decays: Distinct[NonNegative] = (0.0001,)
    """Weight decays, all trained in one run."""


class ProbesSettings(ProbeRecipeSettings):
    """Linear probes on frozen features; figures show the first learning rate and weight decay."""

    seeds: Count = 1
    """Number of repetitions with seeds of their own; figures show the mean."""


class ProbesJobSettings(ProbeRecipeSettings):
    """What the job is told that trains probes."""

    names: ViewNames
    """Repeated in every row."""
    seeds: tuple[int, ...]
    """A repetition each."""
    device: Device
    """Where to compute."""
