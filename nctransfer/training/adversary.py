"""The adversary of adversarial training: projected gradient ascent in an l-infinity ball.

Source: Madry et al. 2018 (arXiv 1706.06083): random start, then steps along the sign
of the gradient, each projected to the ball and to the range of pixels. Only gradients
of the input are computed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nctransfer.data.keyed import Stream, uniform
from nctransfer.errors import ConfigError
from nctransfer.suggestions import suggestion

BATCH_NORM = ("eval", "train")


@dataclass(frozen=True)
class Adversary:
    """An attacker of known strength.

    Attributes:
        radius: largest change of a pixel, pixels being in [0, 1].
        steps: of gradient ascent.
        step_size: in the unit of the radius.
        batch_norm: mode of the whole network during the attack; ``eval`` uses running statistics,
            ``train`` those of the batch. Neither changes the running statistics.
    """

    radius: float
    steps: int
    step_size: float
    batch_norm: str = "eval"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Adversary":
        """Read radius, steps, step_size and batch_norm.

        Raises:
            ConfigError: batch_norm is neither ``eval`` nor ``train``, or a number is negative.
        """
        mode = settings["batch_norm"]
        if mode not in BATCH_NORM:
            raise ConfigError(
                f"adversary.batch_norm is {mode!r}{suggestion(mode, BATCH_NORM)}; it must be eval or train"
            )
        numbers = {key: settings[key] for key in ("radius", "steps", "step_size")}
        for key, value in numbers.items():
            if not value >= 0:
                raise ConfigError(f"adversary.{key} is {value!r}; it must not be negative")
        return cls(**numbers, batch_norm=mode)

    def attack(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        images: Tensor,
        labels: Tensor,
        keys: Tensor,
    ) -> Tensor:
        """Search the ball around each image for pixels of higher loss.

        The network is left as it was found: training modes, running statistics, which parameters
        want gradients, and those gradients.

        Args:
            network: takes pixels; standardises them itself.
            loss: of (outputs, labels), a mean over the batch.
            images: pixels in [0, 1], shape (B, 3, H, W), float32.
            labels: shape (B,).
            keys: of the random start, shape (B,), int64 (see ``keyed.sample_keys``).

        Returns:
            pixels in [0, 1], at most ``radius`` from the images, shape (B, 3, H, W), float32, in the
            memory format of the images.
        """
        images = images.detach()
        if self.radius == 0:
            return images
        low, high = (images - self.radius).clamp_min_(0), (images + self.radius).clamp_max_(1)
        noise = uniform(keys, Stream.ATTACK, *images.shape[1:]).mul_(2).sub_(1)
        found = torch.empty_like(images).copy_(noise).mul_(self.radius).add_(images)
        found = _between(low, found, high)
        with _only_input_gradients(network, self.batch_norm), torch.enable_grad():
            for _ in range(self.steps):
                found.requires_grad_()
                (gradient,) = torch.autograd.grad(loss(network(found), labels), found)
                stepped = found.detach().add_(gradient.sign_(), alpha=self.step_size)
                found = _between(low, stepped, high)
        return found


def _between(low: Tensor, values: Tensor, high: Tensor) -> Tensor:
    """Values moved into [low, high], in place."""
    return torch.minimum(torch.maximum(values, low, out=values), high, out=values)


@contextmanager
def _only_input_gradients(network: nn.Module, mode: str) -> Iterator[None]:
    """Freeze parameters and running statistics, and set the mode; all is put back at the end."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    training = [(module, module.training) for module in network.modules()]
    # without tracking, a normalisation layer in training mode uses the batch's statistics and keeps no others
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
