"""One interface to every network: units, penultimate feature and logits in one forward pass."""

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
    """The source classifier: path of its module, number of classes and, where known, their names."""

    name: str
    classes: int
    class_names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Identity:
    """Identity of the weights, and how their inputs are prepared."""

    # as in the configuration
    source: str
    name: str
    weights: str
    unit_layout: str
    # normalisation of the pixels scaled to [0, 1], one value per channel
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: tuple[int, int]  # height and width of the input
    # geometry of the library's evaluation transform, None where it cannot be expressed
    native: Geometry | None
    fingerprint: str  # SHA-256 of the names, shapes and bytes of all weights


@dataclass(frozen=True)
class Capture:
    """Outputs of one forward pass."""

    units: dict[int, dict[str, Tensor]]  # unit index (0 = stem) -> pooling -> (N, width)
    penultimate: Tensor  # the last feature of the backbone, (N, d)
    # the penultimate feature plus the outputs of the units with a skip connection, (N, d), or None
    summed: Tensor | None
    logits: Tensor | None  # (N, classes), None without a usable head
    output: Tensor  # output of the network: the logits, CLIP's embedding or others


# where a tensor is read, and the function applied to it
Place = tuple[Tap, Callable[[Tensor], Any]]


class _ReachedError(Exception):
    """Ends a forward pass when everything required has been read."""


class Backbone(nn.Module):
    """A network whose units, penultimate feature and logits can be read.

    Args:
        network: in evaluation mode or not, as the caller needs it.
        layout: places of its units.
        units: the units 0 (stem) to L with their widths.
        width: length of the penultimate feature.
        head: the source classifier, None without a usable one.
        identity: of the weights.
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
        """Scale images to [0, 1] and standardise them, in torchvision's order of operations.

        Takes uint8, (N, 3, H, W) or (N, H, W, 3), of the input size; gives float32 (N, 3, H, W) on the
        backbone's device.
        """
        if images.shape[1] != 3:
            images = images.permute(0, 3, 1, 2)
        return self.standardise(images.to(self.get_buffer("_mean").device).to(torch.float32).div_(255))

    def standardise(self, pixels: Tensor) -> Tensor:
        """Standardise pixels in [0, 1], (N, 3, H, W), by mean and standard deviation."""
        return (pixels - self.get_buffer("_mean")) / self.get_buffer("_std")

    def forward(self, images: Tensor) -> Tensor:
        """Output of the network for normalised images (N, 3, H, W)."""
        return self.network(images)

    def capture(
        self,
        images: Tensor,
        units: Iterable[int] | None = None,
        poolings: Sequence[str] | None = None,
    ) -> Capture:
        """One forward pass of normalised images (N, 3, H, W) that also reads units (0 = stem; default all).

        Each output is pooled inside the hook: memory for a map is freed after its block, and later in-place
        steps cannot alter what was read. Poolings are those of the layout, or ``none`` for the raw output;
        the default is the layout's first. Whether gradients are computed is left to the caller. ModelError
        for an unknown unit or pooling, or a unit that the forward pass did not use.
        """
        indices = list(range(len(self.units) + 1) if units is None else units)
        names = tuple(poolings) if poolings is not None else self.layout.poolings[:1]
        functions = poolings_for(self.layout, names)

        def pooled(index: int, x: Tensor) -> dict[str, Tensor]:
            return {name: pool(x, self.layout.form(index)) for name, pool in functions.items()}

        places: dict[Any, Place] = {index: (self.tap(index), partial(pooled, index)) for index in indices}
        values, output = self.read(images, places | self.feature_places())
        assert output is not None
        penultimate, summed = self.feature(values)
        return Capture(
            units={index: values[index] for index in indices},
            penultimate=penultimate,
            summed=summed if self.skip else None,
            logits=output if self.head is not None else None,
            output=output,
        )

    def feature_places(self) -> dict[Any, Place]:
        """Places of the penultimate feature and of the outputs added to it, for :meth:`read`."""
        pool = poolings_for(self.layout, (self.layout.feature_pooling,))[self.layout.feature_pooling]

        def pooled(index: int, x: Tensor) -> Tensor:
            return pool(x, self.layout.form(index))

        skipped: dict[Any, Place] = {
            ("skip", index): (self.tap(index), partial(pooled, index)) for index in self.skip
        }
        last = self.layout.penultimate
        return skipped | {"penultimate": (last, lambda x: penultimate_vector(x, self.layout))}

    def feature(self, values: Mapping[Any, Any]) -> tuple[Tensor, Tensor]:
        """The penultimate feature, and its sum with the skip connection, both (N, d)."""
        penultimate = values["penultimate"]
        return penultimate, summed_feature(penultimate, [values["skip", index] for index in self.skip])

    def read(
        self, images: Tensor, places: Mapping[Any, Place], stop: Any = None
    ) -> tuple[dict[Any, Any], Tensor | None]:
        """One forward pass that reads tensors inside the network, for normalised images (N, 3, H, W).

        ``places`` are, by any key, where to read and the function applied to the tensor; after the place with
        the key ``stop`` the pass ends. Returns the results by key, and the output of the network (None where
        the pass was stopped). ModelError where the network did not use one of the places.
        """
        values: dict[Any, Any] = {}

        def record(key: Any, function: Callable[[Tensor], Any], x: Tensor) -> None:
            values[key] = function(x)
            if stop is not None and key == stop:
                raise _ReachedError

        output: Tensor | None = None
        with ExitStack() as hooks, suppress(_ReachedError):
            for key, (tap, function) in places.items():
                hooks.enter_context(self._listen(tap, partial(record, key, function)))
            output = self.network(images)
        for key, (tap, _) in places.items():
            if key not in values:
                raise ModelError(f"{self.identity.name}: the forward pass never went through {tap.module!r}")
        return values, output

    def tap(self, index: int) -> Tap:
        """Where the output of a unit is read; for unit 0, the stem, the input of unit 1."""
        if not 0 <= index <= len(self.units):
            raise ModelError(
                f"{self.identity.name}: no unit {index}; it has units 0 (stem) to {len(self.units)}"
            )
        return (
            Tap(self.layout.units[0], "input")
            if index == STEM
            else Tap(self.layout.units[index - 1], "output")
        )

    def _listen(self, tap: Tap, function: Callable[[Tensor], None]) -> torch.utils.hooks.RemovableHandle:
        module = self.network.get_submodule(tap.module)
        if tap.side == "input":
            return module.register_forward_pre_hook(lambda _, args: function(first_tensor(args)))
        return module.register_forward_hook(lambda _, args, output: function(first_tensor(output)))


def first_tensor(value: Any) -> Tensor:
    """The tensor itself, or the first of a sequence (some blocks return extra values)."""
    while not isinstance(value, Tensor):
        value = value[0]
    return value


def measure(
    network: nn.Module, layout: UnitLayout, size: tuple[int, int], device: torch.device | str = "cpu"
) -> tuple[list[Unit], int]:
    """Units with their widths, and the width of the penultimate feature, from a blank image (height, width).

    The network is in evaluation mode, on ``device`` (``meta`` is allowed).
    """
    probe = blank_backbone(network, layout, size)
    with torch.no_grad():
        capture = probe.capture(torch.zeros(1, 3, *size, device=device))
    pooling = layout.poolings[0]
    units = [
        Unit(unit.index, unit.name, unit.type, capture.units[unit.index][pooling].shape[1])
        for unit in (probe.stem, *probe.units)
    ]
    return units, capture.penultimate.shape[1]


def blank_backbone(network: nn.Module, layout: UnitLayout, size: tuple[int, int]) -> Backbone:
    """A backbone without weights and widths, for inspecting the structure of a network."""
    modules = [(STEM, "stem", "input of unit 1"), *_numbered(network, layout)]
    unmeasured = [Unit(index, name, kind, 0) for index, name, kind in modules]
    blank = Identity("", type(network).__name__, "", "", (0.0,) * 3, (1.0,) * 3, size, None, "")
    return Backbone(network, layout, unmeasured, 0, None, blank)


def _numbered(network: nn.Module, layout: UnitLayout) -> list[tuple[int, str, str]]:
    return [
        (index, path, type(network.get_submodule(path)).__name__)
        for index, path in enumerate(layout.units, start=1)
    ]
