"""Loss and accuracy of a network on a split, on clean images or under attack."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from nctransfer.data.keyed_random import Stream, sample_keys, stream_seed
from nctransfer.training.augmentation import augment
from nctransfer.training.objective import Objective
from nctransfer.training.pgd_attack import Adversary
from nctransfer.training.settings import AugmentationSettings


class Shown(Protocol):
    """A split as a training reads it: the inputs of the network, by sample."""

    @property
    def labels(self) -> Tensor:
        """Classes (N,), int64, on the device."""

    def __len__(self) -> int: ...

    @property
    def numbers(self) -> int:
        """Size of one input, in numbers."""

    def clean(self, rows: Tensor) -> Tensor:
        """Inputs of samples ``rows`` without augmentation; (n, ...), on the device."""

    def augmented(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Inputs of samples ``rows``, augmented by the draws of their keys."""


UNAUGMENTED = AugmentationSettings()


@dataclass(frozen=True)
class Split:
    """A split on the device: images (N, 3, S, S) uint8, labels (N,) int64, and their augmentation."""

    images: Tensor
    labels: Tensor
    augmentation: AugmentationSettings = UNAUGMENTED

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def numbers(self) -> int:
        """Size of an image, in numbers."""
        return self.images[0].numel()

    def clean(self, rows: Tensor) -> Tensor:
        """Pixels in [0, 1], (n, 3, S, S), float32."""
        return self.images[rows].float().div_(255)

    def augmented(self, rows: Tensor, keys: Tensor) -> Tensor:
        """Pixels in [0, 1], augmented."""
        return augment(self.images[rows], keys, self.augmentation)


@dataclass(frozen=True)
class Standardisation:
    """Mean and standard deviation of each channel, of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Tensor) -> "Standardisation":
        """Those of images (N, C, H, W) uint8, in blocks; the std of a constant channel is 1."""
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


class Standardised(nn.Module):
    """A network that standardises pixels in [0, 1] itself, so that attacks work on pixels."""

    def __init__(self, network: nn.Module, scale: Standardisation) -> None:
        super().__init__()
        self.network = network
        # not part of the weights: mean and std are stored with the model
        self.register_buffer("mean", torch.tensor(scale.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(scale.std).view(1, -1, 1, 1), persistent=False)

    mean: Tensor
    std: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """Output of the network for pixels (B, 3, H, W)."""
        outputs: Tensor = self.network((pixels - self.mean) / self.std)
        return outputs


@torch.no_grad()
def evaluate(
    network: nn.Module,
    objective: Objective,
    split: Shown,
    batch_size: int = 512,
    attack: tuple[Adversary, int] | None = None,
) -> dict[str, float]:
    """Loss and accuracy (percent) of a network on pixels; the network is put into evaluation mode.

    The loss is NaN where it is not a function of single images, the accuracy where no class can be predicted
    yet. ``attack`` is an adversary and the seed of its random starts (None: clean images); it uses running
    statistics, like the evaluation.
    """
    network.eval()
    device = split.labels.device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    for rows in torch.arange(len(split), device=device).split(batch_size):
        pixels, labels = split.clean(rows), split.labels[rows]
        if attack is not None:
            adversary = replace(attack[0], batch_norm="eval")
            seed = stream_seed(attack[1], Stream.TEST_ATTACK)
            pixels = adversary.attack(network, objective, pixels, labels, sample_keys(seed, 0, rows))
        outputs = network(pixels)
        if objective.ready:
            correct += (objective.predict(outputs) == labels).sum()
        if objective.classifies:
            loss += objective(outputs, labels).double() * len(rows)
    return {
        "loss": float(loss) / len(split) if objective.classifies else math.nan,
        "accuracy": 100 * int(correct) / len(split) if objective.ready else math.nan,
    }
