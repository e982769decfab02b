"""Cross-entropy of the softmax, the paper's default."""

import torch
from torch.nn import functional


def loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy.

    Args:
        logits: shape (B, K).
        labels: class indices, shape (B,).

    Returns:
        a scalar.
    """
    return functional.cross_entropy(logits, labels)
