"""The frozen prefix: what a network computes below the shallowest tuned unit, computed once.

Where nothing below trains and nothing there is random, the input of the tuned unit is the
same in every epoch. It is then computed once and kept, and training begins there; where it does
not fit it is computed for every batch: on the CPU in float32 alike to the last bit.

The network's own code runs from the tuned unit on: a blank image passes the stem, the units
below return blanks of the right shape, and where the tuned unit begins the kept tensors take
the blank's place. So nothing has to be known of how an architecture connects its parts.
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
    """Why the prefix of this training is not the same in every epoch, None where it is."""
    if tuned.statistics == "update" and tuned.norms():
        return "its normalisation statistics are updated in every step"
    if augmentation_level >= CROP:
        return "its images are augmented"
    below = _below(tuned)
    if below is None:
        return "everything trains"
    return None


def _below(tuned: TunedNetwork) -> int | None:
    """Shallowest unit with anything to train; one past the last where none has, None for the stem."""
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
    others = [
        name for name in trained if not any(name.startswith(f"{path}.") for path in layout.units[first:])
    ]
    return None if others else first


class Prefix:
    """The part of a network below its shallowest tuned unit.

    Args:
        tuned: a network for which :func:`why_not` knows no reason.
        half: whether it computes in bfloat16 where that is safe.
        layout: memory format of the images.
    """

    def __init__(
        self,
        tuned: TunedNetwork,
        half: bool = False,
        layout: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.tuned, self.backbone, self.half, self.layout = tuned, tuned.backbone, half, layout
        first = _below(tuned)
        assert first is not None
        self.first = first
        self.whole = first > len(self.backbone.layout.units)  # nothing but the classifier trains
        self._entering: Tensor | None = None

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """What is kept of pixels (N, 3, H, W): the input of the tuned unit, or the feature (N, d)."""
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.half):
            images = self.backbone.standardise(pixels).contiguous(memory_format=self.layout)
            if self.whole:
                return self.tuned.read(images)
            place = Tap(self.backbone.layout.units[self.first - 1], "input")
            kept_by_place, _ = self.backbone.read(images, {"kept": (place, torch.clone)}, stop="kept")
        kept: Tensor = kept_by_place["kept"]
        return kept

    def of(self, split: Pixels, rows: Tensor, size: int) -> Tensor:
        """What is kept of samples ``rows``, computed ``size`` at a time.

        A last, smaller batch is filled up: the last bits of a sample's numbers may depend on the size of
        the batch that it is in, and must not depend on the batch.
        """
        parts = []
        for part in rows.split(size):
            missing = size - len(part)
            full = torch.cat([part, part[:1].expand(missing)]) if missing else part
            parts.append(self(split.clean(full))[: len(part)])
        return torch.cat(parts)

    def cut(self) -> Callable[[], None]:
        """Have the network begin with what is kept; returns what undoes it."""
        if self.whole:
            self.tuned.begin_at(lambda kept: kept)
            return lambda: self.tuned.begin_at(None)
        network, layout = self.backbone.network, self.backbone.layout
        blank = self._blank()
        below = {path: network.get_submodule(path) for path in layout.units[: self.first - 1]}
        blanks = self._blanks(below, blank)
        unit = network.get_submodule(layout.units[self.first - 1])
        for path, module in below.items():
            module.forward = self._skipping(module.forward, blanks[path])
        hook = unit.register_forward_pre_hook(self._enter)

        def begin(kept: Tensor) -> Tensor:
            self._entering = kept
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
        """The forward pass of a unit below, which computes nothing while the network begins above it."""
        return lambda *args, **options: forward(*args, **options) if self._entering is None else blank

    def _blank(self) -> Tensor:
        height, width = self.backbone.identity.size
        return torch.zeros(1, 3, height, width, device=self.tuned.device)

    @torch.no_grad()
    def _blanks(self, below: Mapping[str, nn.Module], blank: Tensor) -> dict[str, Any]:
        """What every unit below returns for a blank image."""
        blanks: dict[str, Any] = {}

        def noting(path: str) -> Callable[[nn.Module, Any, Any], None]:
            return lambda module, args, output: blanks.update({path: output})

        with ExitStack() as hooks:
            for path, module in below.items():
                hooks.enter_context(module.register_forward_hook(noting(path)))
            self.tuned.eval()
            self.tuned.read(blank)
        return blanks
