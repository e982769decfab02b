"""Residual blocks for small images, with torchvision's names."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Shortcut = Callable[[int, int, int], nn.Module]


class PaddedShortcut(nn.Module):
    """Option A of He et al. (2016): subsample, and pad with zero channels; no parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (outputs - inputs) // 2
        self.after = outputs - inputs - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


def projected_shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Option B: a 1 x 1 convolution with batch normalisation."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions; (N, inputs, H, W) -> (N, planes, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        same = stride == 1 and inputs == planes
        self.downsample = None if same else shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)), inplace=True)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (with the stride, as torchvision) and 1 x 1 convolution; output 4 x planes."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.downsample = None if same else shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        out = functional.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)), inplace=True)


Block = type[BasicBlock] | type[Bottleneck]


class ResidualNetwork(nn.Module):
    """A ResNet with a stem for small images: 3 x 3 convolution of stride 1, no max-pool.

    Args:
        block: kind of residual block.
        depths: blocks of each stage; from the second stage on, the first block halves the map.
        width: channels of the first stage's 3 x 3 convolutions, doubled by each stage.
        shortcut: builds the shortcut where the shape changes.
        head: name of the classification layer.
        classes: its outputs.
    """

    def __init__(
        self, block: Block, depths: tuple[int, ...], width: int, shortcut: Shortcut, head: str, classes: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels, planes = width, width
        self.stages = tuple(f"layer{number}" for number in range(1, len(depths) + 1))
        for number, (stage, depth) in enumerate(zip(self.stages, depths, strict=True)):
            blocks = []
            for position in range(depth):
                stride = 2 if number > 0 and position == 0 else 1
                blocks.append(block(channels, planes, stride, shortcut))
                channels = planes * block.expansion
            self.add_module(stage, nn.Sequential(*blocks))
            planes *= 2
        self.head = head
        self.add_module(head, nn.Linear(channels, classes))
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> logits (N, classes)."""
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        return getattr(self, self.head)(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))
