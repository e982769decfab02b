"""What a solver hands back."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """Classifiers of the U units of a group under P settings.

    Attributes:
        weight: (U, P, K, d).
        bias: (U, P, K).
    """

    weight: Tensor
    bias: Tensor
