"""Networks of few-shot learning, in four blocks; the 2 x 2 max-pool of the first three belongs to them.

Source: Li et al., Appendix E, and Tian et al. (2020), whose networks these are, but for the max-pool
after the fourth block of ResNet12 in their code.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.1
REDUCTION = 4  # of squeeze and excitation


class ConvolutionalBlock(nn.Module):
    """A 3 x 3 convolution, batch normalisation and ReLU; (N, inputs, H, W) -> (N, outputs, H / 2, W / 2).

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        pooled: whether a max-pool halves the map (rounding down).
    """

    def __init__(self, inputs: int, outputs: int, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.bn = nn.BatchNorm2d(outputs)
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        return self.pool(functional.relu(self.bn(self.conv(x)), inplace=True))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate that sees all their means (Hu et al. 2018); (N, C, H, W) to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, 1)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Means, two linear maps, gates."""
        gates = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))
        return x * gates[:, :, None, None]


class ThreeConvolutionBlock(nn.Module):
    """Three 3 x 3 convolutions beside a 1 x 1 shortcut; (N, inputs, H, W) -> (N, outputs, H / 2, W / 2).

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        pooled: whether a max-pool halves the map (rounding down).
        gated: whether squeeze and excitation follows the third convolution.
        dropout: what follows the max-pool.
    """

    def __init__(self, inputs: int, outputs: int, pooled: bool, gated: bool, dropout: nn.Module) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv3 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.se = SqueezeExcitation(outputs) if gated else nn.Identity()
        self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()
        self.drop = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Residual sum, LeakyReLU, max-pool, dropout."""
        out = functional.leaky_relu(self.bn1(self.conv1(x)), LEAK, inplace=True)
        out = functional.leaky_relu(self.bn2(self.conv2(out)), LEAK, inplace=True)
        out = self.se(self.bn3(self.conv3(out)))
        out = functional.leaky_relu(out + self.downsample(x), LEAK, inplace=True)
        return self.drop(self.pool(out))


class FewShotNetwork(nn.Module):
    """Blocks, global average pooling and a linear head ``fc``.

    Args:
        blocks: in their order.
        width: channels of the last one.
        classes: outputs of the head.
    """

    def __init__(self, blocks: Sequence[nn.Module], width: int, classes: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), sides of 8 px or more -> logits (N, classes)."""
        x = functional.adaptive_avg_pool2d(self.blocks(x), 1)
        return self.fc(torch.flatten(x, 1))
