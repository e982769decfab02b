"""One protocol for every network: units, penultimate feature and logits in one forward pass."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nctransfer.data.settings import Geometry
from nctransfer.errors import ModelError
from nctransfer.models.pooling import penultimate_vector, poolings_for
from nctransfer.models.skip_connection import summed_feature
from nctransfer.models.unit_layout import Tap, Unit, UnitLayout

STEM = 0


@dataclass(frozen=True)
class Head:
    """The source classifier: its module, number of classes and, where known, their names."""

    name: str
    classes: int
    class_names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Identity:
    """Which weights these are and how their inputs are prepared.

    Attributes:
        source, name, weights, unit_layout: as in the configuration.
        mean, std: normalisation of the pixels scaled to [0, 1], one value a channel.
        size: height and width of the input.
        native: geometry of the library's own evaluation transform, None where it cannot be expressed.
        fingerprint: SHA-256 over the names, shapes and bytes of all weights.
    """

    source: str
    name: str
    weights: str
    unit_layout: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]
    native: Geometry | None
    fingerprint: str


@dataclass(frozen=True)
class Capture:
    """What one forward pass gave.

    Attributes:
        units: unit index (0 = stem) -> pooling -> (N, width).
        penultimate: the backbone's last feature, (N, d).
        summed: the penultimate feature and the outputs of the units that a skip connection adds to
            it, (N, d); None without one.
        logits: (N, classes), None without a usable head.
        output: what the network returned: the logits, CLIP's embedding, ...
    """

    units: dict[int, dict[str, Tensor]]
    penultimate: Tensor
    summed: Tensor | None
    logits: Tensor | None
    output: Tensor


# Where a tensor is read, and what is kept of it.
Place = tuple[Tap, Callable[[Tensor], Any]]


class _ReachedError(Exception):
    """Ends a forward pass that has given all that is wanted of it."""


class Backbone(nn.Module):
    """A network whose units, penultimate feature and logits can be read by name.

    Args:
        network: in evaluation mode or not, as the caller needs it.
        layout: where its units are.
        units: the units 0 (stem) to L with their widths.
        width: length of the penultimate feature.
        head: the source classifier, None without a usable one.
        identity: which weights, and how images are prepared for them.
        skip: units whose outputs are added to the penultimate feature (SCL FT).
    """

    def __init__(
        self,
        network: nn.Module,
        layout: UnitLayout,
        units: Sequence[Unit],
        width: int,
        head: Head | None,
        identity: Identity,
        skip: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.layout = layout
        self.stem, self.units = units[0], tuple(units[1:])
        self.width = width
        self.head = head
        self.identity = identity
        self.skip = tuple(skip)
        for name, values in (("_mean", identity.mean), ("_std", identity.std)):
            constant = torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Scale to [0, 1] and standardise, in torchvision's order of operations.

        Args:
            images: uint8, (N, 3, H, W) or (N, H, W, 3), already of the right size.

        Returns:
            float32 (N, 3, H, W) on the backbone's device.
        """
        if images.shape[1] != 3:
            images = images.permute(0, 3, 1, 2)
        return self.standardise(images.to(self.get_buffer("_mean").device).to(torch.float32).div_(255))

    def standardise(self, pixels: Tensor) -> Tensor:
        """Subtract mean and divide by standard deviation of pixels in [0, 1], (N, 3, H, W)."""
        return (pixels - self.get_buffer("_mean")) / self.get_buffer("_std")

    def forward(self, images: Tensor) -> Tensor:
        """Run the bare network on normalised images (N, 3, H, W)."""
        return self.network(images)

    def capture(
        self,
        images: Tensor,
        units: Iterable[int] | None = None,
        poolings: Sequence[str] | None = None,
    ) -> Capture:
        """One forward pass that also reads the units.

        Each output is pooled inside the hook: no map outlives its block, and later
        in-place steps cannot alter what was read. Gradients are the caller's choice.

        Args:
            images: normalised, (N, 3, H, W).
            units: indices, 0 = stem; all units and the stem by default.
            poolings: of the layout's, or ``none`` for the raw output; the layout's first by default.

        Raises:
            ModelError: no such unit or pooling, or the network went past a unit.
        """
        wanted = list(range(len(self.units) + 1) if units is None else units)
        names = tuple(poolings) if poolings is not None else self.layout.poolings[:1]
        functions = poolings_for(self.layout, names)

        def pooled(x: Tensor) -> dict[str, Tensor]:
            return {name: pool(x, self.layout) for name, pool in functions.items()}

        places: dict[Any, Place] = {index: (self.tap(index), pooled) for index in wanted}
        read, output = self.read(images, places | self.feature_places())
        assert output is not None
        penultimate, summed = self.feature(read)
        return Capture(
            units={index: read[index] for index in wanted},
            penultimate=penultimate,
            summed=summed if self.skip else None,
            logits=output if self.head is not None else None,
            output=output,
        )

    def feature_places(self) -> dict[Any, Place]:
        """Where the penultimate feature is read, and what is added to it; for :meth:`read`."""
        pool = poolings_for(self.layout, (self.layout.feature_pooling,))[self.layout.feature_pooling]
        skipped: dict[Any, Place] = {
            ("skip", index): (self.tap(index), lambda x: pool(x, self.layout)) for index in self.skip
        }
        last = self.layout.penultimate
        return skipped | {"penultimate": (last, lambda x: penultimate_vector(x, self.layout))}

    def feature(self, read: Mapping[Any, Any]) -> tuple[Tensor, Tensor]:
        """The penultimate feature, and its sum with what the skip connection adds, both (N, d)."""
        penultimate = read["penultimate"]
        return penultimate, summed_feature(penultimate, [read["skip", index] for index in self.skip])

    def read(
        self, images: Tensor, places: Mapping[Any, Place], stop: Any = None
    ) -> tuple[dict[Any, Any], Tensor | None]:
        """One forward pass of the network that reads tensors on its way.

        Args:
            images: normalised, (N, 3, H, W).
            places: by any key, where to read and what to keep of the tensor there.
            stop: key of the place after which the pass ends; None lets it run to the end.

        Returns:
            what was kept by key, and the network's output, None where the pass was stopped.

        Raises:
            ModelError: the network never went through one of the places.
        """
        kept: dict[Any, Any] = {}

        def note(key: Any, keep: Callable[[Tensor], Any], x: Tensor) -> None:
            kept[key] = keep(x)
            if stop is not None and key == stop:
                raise _ReachedError

        output: Tensor | None = None
        with ExitStack() as hooks, suppress(_ReachedError):
            for key, (tap, keep) in places.items():
                hooks.enter_context(self._listen(tap, partial(note, key, keep)))
            output = self.network(images)
        for key, (tap, _) in places.items():
            if key not in kept:
                raise ModelError(f"{self.identity.name}: the forward pass never went through {tap.module!r}")
        return kept, output

    def tap(self, index: int) -> Tap:
        """Where a unit's output is read; that of unit 0, the stem, is the input of unit 1."""
        if not 0 <= index <= len(self.units):
            raise ModelError(
                f"{self.identity.name}: no unit {index}; it has units 0 (stem) to {len(self.units)}"
            )
        return (
            Tap(self.layout.units[0], "input")
            if index == STEM
            else Tap(self.layout.units[index - 1], "output")
        )

    def _listen(self, tap: Tap, keep: Callable[[Tensor], None]) -> torch.utils.hooks.RemovableHandle:
        module = self.network.get_submodule(tap.module)
        if tap.side == "input":
            return module.register_forward_pre_hook(lambda _, args: keep(first_tensor(args)))
        return module.register_forward_hook(lambda _, args, output: keep(first_tensor(output)))


def first_tensor(value: Any) -> Tensor:
    """The tensor itself, or the first of a sequence (some blocks pass extras along)."""
    while not isinstance(value, Tensor):
        value = value[0]
    return value


def measure(
    network: nn.Module, layout: UnitLayout, size: tuple[int, int], device: torch.device | str = "cpu"
) -> tuple[list[Unit], int]:
    """Units with their widths, and the penultimate width, by one forward pass of a blank image.

    Args:
        network: in evaluation mode, on ``device`` (``meta`` will do).
        layout: its layout.
        size: height and width of the image.
        device: where the network is.
    """
    probe = blank_backbone(network, layout, size)
    with torch.no_grad():
        seen = probe.capture(torch.zeros(1, 3, *size, device=device))
    pooling = layout.poolings[0]
    units = [
        Unit(unit.index, unit.name, unit.type, seen.units[unit.index][pooling].shape[1])
        for unit in (probe.stem, *probe.units)
    ]
    return units, seen.penultimate.shape[1]


def blank_backbone(network: nn.Module, layout: UnitLayout, size: tuple[int, int]) -> Backbone:
    """A backbone of unknown weights and widths, to look at a network with."""
    modules = [(STEM, "stem", "input of unit 1"), *_numbered(network, layout)]
    unmeasured = [Unit(index, name, kind, 0) for index, name, kind in modules]
    blank = Identity("", type(network).__name__, "", "", (0.0,) * 3, (1.0,) * 3, size, None, "")
    return Backbone(network, layout, unmeasured, 0, None, blank)


def _numbered(network: nn.Module, layout: UnitLayout) -> list[tuple[int, str, str]]:
    return [
        (index, path, type(network.get_submodule(path)).__name__)
        for index, path in enumerate(layout.units, start=1)
    ]
