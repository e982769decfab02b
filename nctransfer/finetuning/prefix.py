"""The frozen prefix: the part of a network below the shallowest tuned unit, computed once.

Where nothing below trains and nothing there is random, the input of the tuned unit is the same in every
epoch. It is then computed once and cached, and training starts there; where the cache does not fit, the
prefix is computed for every batch, with the same result (on the CPU in float32 to the last bit).

Above the prefix the network's own code runs: a blank image passes the stem, the units of the prefix return
blank tensors of the right shape, and at the tuned unit the cached tensors replace the blank one. So this
module needs no knowledge of how an architecture connects its parts.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from nctransfer.finetuning.data import Pixels
from nctransfer.finetuning.tuned_network import TunedNetwork
from nctransfer.models.unit_layout import Tap
from nctransfer.training.augmentation import CROP


def why_not(tuned: TunedNetwork, augmentation_level: int) -> str | None:
    """Why the prefix of this training is not the same in every epoch; None where it is."""
    if tuned.statistics == "update" and tuned.norms():
        return "its normalisation statistics are updated in every step"
    if augmentation_level >= CROP:
        return "its images are augmented"
    return "everything trains" if _below(tuned) is None else None


def _below(tuned: TunedNetwork) -> int | None:
    """Shallowest unit that trains; one past the last if none does, None if parts outside the units train."""
    network, layout = tuned.backbone.network, tuned.backbone.layout
    trained = [name for name, value in network.named_parameters() if value.requires_grad]
    for index, path in enumerate(layout.units, start=1):
        inside = [name for name in trained if name.startswith(f"{path}.")]
        trained = [name for name in trained if not name.startswith(f"{path}.")]
        if inside:
            first = index
            break
    else:
        return None if trained else len(layout.units) + 1
    above = tuple(f"{path}." for path in layout.units[first:])
    return first if all(name.startswith(above) for name in trained) else None


class Prefix:
    """The part of a network below its shallowest tuned unit, in bfloat16 if ``half``; see :func:`why_not`."""

    def __init__(
        self, tuned: TunedNetwork, half: bool = False, layout: torch.memory_format = torch.contiguous_format
    ) -> None:
        self.tuned, self.backbone, self.half, self.layout = tuned, tuned.backbone, half, layout
        first = _below(tuned)
        assert first is not None
        self.first = first
        self.whole = first > len(self.backbone.layout.units)  # only the classifier trains
        self._entering: Tensor | None = None

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Output of the prefix for pixels (N, 3, H, W): input of the tuned unit, or the feature (N, d)."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.half):
            images = self.backbone.standardise(pixels).contiguous(memory_format=self.layout)
            if self.whole:
                return self.tuned.read(images)
            place = Tap(self.backbone.layout.units[self.first - 1], "input")
            values, _ = self.backbone.read(images, {"entering": (place, torch.clone)}, stop="entering")
        entering: Tensor = values["entering"]
        return entering

    def of(self, split: Pixels, rows: Tensor, size: int) -> Tensor:
        """Output for samples ``rows``, in batches of one ``size``, on which the last bits may depend."""
        parts = []
        for part in rows.split(size):
            missing = size - len(part)
            full = torch.cat([part, part[:1].expand(missing)]) if missing else part
            parts.append(self(split.clean(full))[: len(part)])
        return torch.cat(parts)

    def cut(self) -> Callable[[], None]:
        """Make the network start from outputs of the prefix; returns a function that undoes this."""
        if self.whole:
            self.tuned.begin_at(lambda entering: entering)
            return lambda: self.tuned.begin_at(None)
        network, layout = self.backbone.network, self.backbone.layout
        blank = torch.zeros(1, 3, *self.backbone.identity.size, device=self.tuned.device)
        below = {path: network.get_submodule(path) for path in layout.units[: self.first - 1]}
        blanks = self._blanks(below, blank)
        unit = network.get_submodule(layout.units[self.first - 1])
        for path, module in below.items():
            module.forward = self._skipping(module.forward, blanks[path])
        hook = unit.register_forward_pre_hook(self._enter)

        def begin(entering: Tensor) -> Tensor:
            self._entering = entering
            try:
                return self.tuned.read(blank)
            finally:
                self._entering = None

        def undo() -> None:
            hook.remove()
            for module in below.values():
                del module.forward
            self.tuned.begin_at(None)

        self.tuned.begin_at(begin)
        return undo

    def _enter(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args if self._entering is None else (self._entering, *args[1:])

    def _skipping(self, forward: Callable[..., Any], blank: Any) -> Callable[..., Any]:
        """The forward pass of a prefix unit, which computes nothing while the network starts above it."""
        return lambda *args, **options: forward(*args, **options) if self._entering is None else blank

    @torch.no_grad()
    def _blanks(self, below: Mapping[str, nn.Module], blank: Tensor) -> dict[str, Any]:
        """Output of each prefix unit for a blank image."""
        blanks: dict[str, Any] = {}

        def noting(path: str) -> Callable[[nn.Module, Any, Any], None]:
            return lambda module, args, output: blanks.update({path: output})

        with ExitStack() as hooks:
            for path, module in below.items():
                hooks.enter_context(module.register_forward_hook(noting(path)))
            self.tuned.eval()
            self.tuned.read(blank)
        return blanks
