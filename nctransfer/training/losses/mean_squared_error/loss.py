"""Squared distance of the logits from one-hot targets, rescaled where there are many classes.

Source: Hui & Belkin 2021 (arXiv 2006.07322), section 2.
"""

import torch
from torch import Tensor
from torch.nn import functional

from nctransfer.training.losses.mean_squared_error.settings import MeanSquaredErrorOptions
from nctransfer.training.objective import Classifying


class MeanSquaredError(Classifying):
    """Mean of (k (f_y - M)^2 + sum of f_c^2 over c != y) / K over samples; k = M = 1 for one-hot targets."""

    def __init__(self, true_class_weight: float, target: float) -> None:
        super().__init__()
        self.true_class_weight = true_class_weight
        self.target = target

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of logits (B, K) and labels (B,)."""
        true_class = functional.one_hot(labels, outputs.shape[1]).bool()
        squares = (outputs.float() - self.target * true_class).square()
        return torch.where(true_class, self.true_class_weight * squares, squares).mean()


def build(settings: MeanSquaredErrorOptions, classes: int) -> MeanSquaredError:
    """Create the objective."""
    return MeanSquaredError(settings.mse_weight, settings.mse_target)
