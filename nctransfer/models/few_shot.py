"""Networks for few-shot learning, of four blocks; the first three end with a 2 x 2 max-pool.

Source: Li et al., Appendix E, and Tian et al. (2020), except that their code has a max-pool after the fourth
block of ResNet12 too.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

LEAK = 0.1
REDUCTION = 4  # of squeeze and excitation


class ConvolutionalBlock(nn.Module):
    """A 3 x 3 convolution, batch normalisation and ReLU; (N, inputs, H, W) -> (N, outputs, H / 2, W / 2).

    If ``pooled``, a max-pool halves the map (rounding down).
    """

    def __init__(self, inputs: int, outputs: int, pooled: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.bn = nn.BatchNorm2d(outputs)
        self.pool = nn.MaxPool2d(2) if pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.pool(functional.relu(self.bn(self.conv(x)), inplace=True))


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from all channel means (Hu et al. 2018); keeps (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, 1)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        gates = torch.sigmoid(self.excite(functional.relu(self.squeeze(x.mean((2, 3))))))
        return x * gates[:, :, None, None]


class ThreeConvolutionBlock(nn.Module):
    """Three 3 x 3 convolutions beside a 1 x 1 shortcut; (N, inputs, H, W) -> (N, outputs, H / 2, W / 2).

    If ``gated``, squeeze and excitation follows the third convolution; if ``pooled``, a max-pool halves the
    map (rounding down); ``dropout`` follows.
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
    """Blocks, global average pooling and a linear head ``fc`` on the last block's ``width`` channels."""

    def __init__(self, blocks: Sequence[nn.Module], width: int, classes: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), sides of at least 8 px -> logits (N, classes)."""
        x = functional.adaptive_avg_pool2d(self.blocks(x), 1)
        return self.fc(torch.flatten(x, 1))
