"""The adversary of adversarial training: projected gradient ascent in an l-infinity ball.

Source: Madry et al. 2018 (arXiv 1706.06083): random start, then steps along the sign of the gradient, each
projected to the ball and to the range of pixels. Only gradients with respect to the input are computed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from nctransfer.data.keyed_random import Stream, uniform
from nctransfer.training.settings import AttackSettings

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Adversary:
    """An attack of fixed strength."""

    radius: float  # largest change of a pixel in [0, 1]
    steps: int  # of gradient ascent
    step_size: float  # in the unit of the radius
    # mode of the whole network during the attack; ``eval`` uses running statistics, ``train`` those of the
    # batch. Neither changes the running statistics.
    batch_norm: Literal["eval", "train"] = "eval"

    @classmethod
    def from_settings(cls, settings: AttackSettings) -> "Adversary":
        """The adversary described by the settings."""
        return cls(settings.radius, settings.steps, settings.step_size, settings.batch_norm)

    def attack(self, network: nn.Module, loss: Loss, images: Tensor, labels: Tensor, keys: Tensor) -> Tensor:
        """Search the ball around each image for pixels of higher loss (a mean over the batch).

        The network takes pixels; its training modes, running statistics, ``requires_grad`` and gradients are
        left unchanged. Images are pixels in [0, 1], (B, 3, H, W) float32; labels and the keys of the random
        start (int64, see ``keyed_random.sample_keys``) are (B,). Returns pixels in [0, 1], at most ``radius``
        from the images, in their shape, dtype and memory format.
        """
        images = images.detach()
        if self.radius == 0:
            return images
        low, high = (images - self.radius).clamp_min_(0), (images + self.radius).clamp_max_(1)
        noise = uniform(keys, Stream.ATTACK, *images.shape[1:]).mul_(2).sub_(1)
        attacked = torch.empty_like(images).copy_(noise).mul_(self.radius).add_(images)
        attacked = _between(low, attacked, high)
        with _only_input_gradients(network, self.batch_norm), torch.enable_grad():
            for _ in range(self.steps):
                attacked.requires_grad_()
                (gradient,) = torch.autograd.grad(loss(network(attacked), labels), attacked)
                stepped = attacked.detach().add_(gradient.sign_(), alpha=self.step_size)
                attacked = _between(low, stepped, high)
        return attacked


def _between(low: Tensor, values: Tensor, high: Tensor) -> Tensor:
    """Clamp values to [low, high], in place."""
    return torch.minimum(torch.maximum(values, low, out=values), high, out=values)


@contextmanager
def _only_input_gradients(network: nn.Module, mode: str) -> Iterator[None]:
    """Freeze parameters and running statistics and set the mode, until the end of the context."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    training = [(module, module.training) for module in network.modules()]
    # without tracking, a normalisation layer in training mode uses the batch's statistics and stores none
    tracking = [module for module in network.modules() if getattr(module, "track_running_stats", False)]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        network.train(mode == "train")
        if mode == "train":
            for module in tracking:
                module.track_running_stats = False  # type: ignore[assignment]
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_()
        for module in tracking:
            module.track_running_stats = True  # type: ignore[assignment]
        for module, flag in training:
            module.training = flag
