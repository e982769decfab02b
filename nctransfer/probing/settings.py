"""Settings of probes: the section, the job, and one probe."""

import math
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field

from nctransfer.errors import ConfigError
from nctransfer.settings import Count, Device, Distinct, NonNegative, Positive, Settings, ViewNames


@dataclass(frozen=True)
class ProbeSettings:
    """Settings of the training of one linear probe; the defaults are the paper's (Appendix E)."""

    # module of ``nctransfer.probing.solvers``; ``sgd`` is the paper's recipe, ``lbfgs`` the exact minimum,
    # for which only the weight decay matters
    solver: str = "sgd"
    learning_rate: float = 1e-1  # at the first epoch
    final_learning_rate: float = 1e-4  # end of the cosine, after the last epoch
    momentum: float = 0.9  # of SGD
    # L2 penalty wd/2 (||W||^2 + ||b||^2), including the bias, as in torch.optim.SGD
    weight_decay: float = 1e-4
    epochs: int = 200  # passes over the training set
    batch_size: int = 128  # samples per step (not stated in the paper; 128 is usual)
    seed: int = 0  # of initial weights and order of batches

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
    """Training of linear probes, for every combination of learning rates and weight decays in one run."""

    solver: str = "sgd"
    """Variant of `nctransfer.probing.solvers`: sgd is the paper's recipe; lbfgs finds the exact minimum of
    the same objective."""
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
    """Number of repetitions with different seeds; figures show the mean."""


class ProbesJobSettings(ProbeRecipeSettings):
    """Settings of the job that trains probes."""

    names: ViewNames
    """Model and view, repeated in every row."""
    seeds: tuple[int, ...]
    """Seed of each repetition."""
    device: Device
    """Device to compute on."""
