"""Cross-entropy of the softmax, the paper's default."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from nctransfer.training.objective import Classifying


class CrossEntropy(Classifying):
    """Mean cross-entropy of the softmax of logits (B, K)."""

    def __init__(self, label_smoothing: float) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of logits (B, K) and labels (B,)."""
        return functional.cross_entropy(outputs.float(), labels, label_smoothing=self.label_smoothing)


def build(settings: Mapping[str, Any], classes: int) -> CrossEntropy:
    """Make the objective; settings: label_smoothing (share of the target spread evenly, 0 where absent)."""
    return CrossEntropy(settings.get("label_smoothing", 0.0))
