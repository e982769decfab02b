"""Cross-entropy of the softmax, the paper's default."""

from torch import Tensor
from torch.nn import functional

from nctransfer.training.losses.cross_entropy.settings import CrossEntropyOptions
from nctransfer.training.objective import Classifying


class CrossEntropy(Classifying):
    """Mean cross-entropy of the softmax of logits (B, K)."""

    def __init__(self, label_smoothing: float) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of logits (B, K) and labels (B,)."""
        return functional.cross_entropy(outputs.float(), labels, label_smoothing=self.label_smoothing)


def build(settings: CrossEntropyOptions, classes: int) -> CrossEntropy:
    """Create the objective."""
    return CrossEntropy(settings.label_smoothing)
