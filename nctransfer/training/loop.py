"""Training a source model: SGD with momentum and a cosine, images kept on the device.

Source: Appendix E of the paper. Images are standardised and otherwise shown as they
are (augmentation level 1); they live on the device as uint8, so that a step costs
what the network costs.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from nctransfer.errors import TrainingError
from nctransfer.plan import variants

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Split:
    """A split on the device: images (N, 3, S, S) uint8 and labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of each channel, of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Tensor) -> "Standardisation":
        """Measure the images (N, C, H, W) uint8, in blocks; a constant channel is left unscaled."""
        total = torch.zeros(images.shape[1], dtype=torch.float64, device=images.device)
        square = torch.zeros_like(total)
        for block in images.split(1024):
            pixels = block.double() / 255
            total += pixels.sum((0, 2, 3))
            square += (pixels * pixels).sum((0, 2, 3))
        count = images.numel() / images.shape[1]
        mean = total / count
        std = (square / count - mean * mean).clamp_min(0).sqrt()
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def __call__(self, images: Tensor) -> Tensor:
        """Standardise uint8 images to float32."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        return images.to(torch.float32).div_(255).sub_(mean).div_(std)


def cosine(epoch: int, epochs: int, start: float, end: float) -> float:
    """Learning rate of an epoch (from 0), annealed from ``start`` towards ``end``."""
    return end + (start - end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def train(
    network: nn.Module,
    splits: Mapping[str, Split],
    scale: Standardisation,
    settings: Mapping[str, Any],
    seed: int,
) -> pd.DataFrame:
    """Train a network in place.

    Args:
        network: on the splits' device.
        splits: train and test.
        scale: standardisation of the images.
        settings: loss, epochs, batch_size, learning_rate, learning_rate_min, momentum, weight_decay.
        seed: seed of the order of samples.

    Returns:
        history: loss (train only) and accuracy in percent by epoch and split.

    Raises:
        TrainingError: the training split has fewer than two images, or the loss is not finite.
    """
    train_split = splits["train"]
    if len(train_split) < 2:
        raise TrainingError(f"training needs at least 2 images; the training split has {len(train_split)}")
    criterion = variants.load("nctransfer.training.losses", settings["loss"]).loss
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=settings["learning_rate"],
        momentum=settings["momentum"],
        weight_decay=settings["weight_decay"],
    )
    order = torch.Generator().manual_seed(seed)
    rows = []
    for epoch in tqdm(range(settings["epochs"]), unit="epoch", disable=None):
        rate = cosine(epoch, settings["epochs"], settings["learning_rate"], settings["learning_rate_min"])
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss, accuracy = _epoch(
            network, train_split, scale, criterion, optimiser, order, settings["batch_size"]
        )
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} in epoch {epoch + 1}; lower training.learning_rate")
        test_accuracy = evaluate(network, splits["test"], scale)
        rows.append(
            {"epoch": epoch + 1, "split": "train", "learning_rate": rate, "loss": loss, "accuracy": accuracy}
        )
        rows.append(
            {
                "epoch": epoch + 1,
                "split": "test",
                "learning_rate": rate,
                "loss": math.nan,
                "accuracy": test_accuracy,
            }
        )
        logger.info(
            "epoch %d: loss %.4f, train %.2f %%, test %.2f %%", epoch + 1, loss, accuracy, test_accuracy
        )
    return pd.DataFrame(rows)


def _epoch(
    network: nn.Module,
    split: Split,
    scale: Standardisation,
    criterion: Any,
    optimiser: torch.optim.Optimizer,
    order: torch.Generator,
    batch_size: int,
) -> tuple[float, float]:
    """One pass in random order; returns mean loss and accuracy (%) as seen while training."""
    network.train()
    device = split.labels.device
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), device=device, dtype=torch.int64)
    seen = 0
    for rows in torch.randperm(len(split), generator=order).to(device).split(batch_size):
        if len(rows) < 2:  # batch normalisation has no variance of one sample
            continue
        labels = split.labels[rows]
        logits = network(scale(split.images[rows]))
        loss = criterion(logits, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        # summed on the device: reading a number every step would stall it
        loss_sum += loss.detach() * len(rows)
        correct += (logits.detach().argmax(1) == labels).sum()
        seen += len(rows)
    return loss_sum.item() / seen, 100 * correct.item() / seen


@torch.inference_mode()
def evaluate(network: nn.Module, split: Split, scale: Standardisation, batch_size: int = 512) -> float:
    """Accuracy in percent, in evaluation mode."""
    network.eval()
    correct = sum(
        (network(scale(images)).argmax(1) == labels).sum()
        for images, labels in zip(split.images.split(batch_size), split.labels.split(batch_size), strict=True)
    )
    return 100 * int(correct) / len(split)
