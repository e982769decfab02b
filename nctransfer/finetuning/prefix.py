"""The frozen prefix: what a network computes below the shallowest tuned unit, computed once.

Where nothing below trains and nothing there is random, the input of the tuned unit is the
same in every epoch. It is then computed once and kept, and training begins there; where it does
not fit it is computed for every batch: on the CPU in float32 alike to the last bit.

The network's own code runs from the tuned unit on: a blank image passes the stem, the units
below return blanks of the right shape, and where the tuned unit begins the kept tensors take
the blank's place. So nothing has to be known of how an architecture connects its parts.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from nctransfer.data.augmentation import CROP
from nctransfer.finetuning.data import Pixels
from nctransfer.finetuning.network import TunedNetwork
from nctransfer.models.layout import Tap

logger = logging.getLogger(__name__)

GB = 10**9
# Share of the free memory, or disk, that a cache may take.
SHARE = 0.5


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
            images = self.tuned.standardise(pixels).contiguous(memory_format=self.layout)
            if self.whole:
                return self.tuned.read(images)
            place = Tap(self.backbone.layout.units[self.first - 1], "input")
            found, _ = self.backbone.read(images, {"kept": (place, torch.clone)}, stop="kept")
        kept: Tensor = found["kept"]
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


@dataclass(frozen=True)
class Kept:
    """A split as it enters the network at the tuned unit, computed once.

    Attributes:
        values: (N, ...), on the labels' device; on the CPU perhaps in a file.
        labels: (N,), on the device.
    """

    values: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def numbers(self) -> int:
        """Numbers that a sample takes."""
        return self.values[0].numel()

    def clean(self, rows: Tensor) -> Tensor:
        """What enters for samples ``rows``, on the device."""
        return self.values[rows]

    def augmented(self, rows: Tensor, keys: Tensor) -> Tensor:
        """The same: nothing here is random."""
        return self.clean(rows)


@dataclass(frozen=True)
class Recomputed:
    """A split as it enters the network at the tuned unit, computed whenever it is asked for.

    Attributes:
        prefix: what computes it.
        split: its pixels.
        size: samples at a time.
        numbers: that a sample takes in memory, as pixels or as what they become.
    """

    prefix: Prefix
    split: Pixels
    size: int
    numbers: int

    def __len__(self) -> int:
        return len(self.split)

    @property
    def labels(self) -> Tensor:
        """Classes (N,), on the device."""
        return self.split.labels

    def clean(self, rows: Tensor) -> Tensor:
        """What enters for samples ``rows``, on the device."""
        return self.prefix.of(self.split, rows, self.size)

    def augmented(self, rows: Tensor, keys: Tensor) -> Tensor:
        """The same: nothing here is random."""
        return self.clean(rows)


@dataclass(frozen=True)
class Room:
    """What may be taken to keep a prefix.

    Attributes:
        budget_gb: the most, wherever it is kept.
        memory_gb: of host memory that the job asked for.
        folder: where files may be.
    """

    budget_gb: float
    memory_gb: float
    folder: Path

    def place(self, needed: int, device: torch.device) -> str | None:
        """``device``, ``memory`` or ``files`` for so many bytes; None where they fit nowhere."""
        if needed > self.budget_gb * GB:
            return None
        if device.type == "cuda":  # to fetch it from the host takes longer than to compute it
            return "device" if needed <= SHARE * torch.cuda.mem_get_info(device)[0] else None
        if needed <= SHARE * min(self.memory_gb * GB, psutil.virtual_memory().available):
            return "memory"
        self.folder.mkdir(parents=True, exist_ok=True)
        return "files" if needed <= SHARE * shutil.disk_usage(self.folder).free else None


def keep(
    prefix: Prefix, splits: Mapping[str, Pixels], sizes: Mapping[str, int], room: Room
) -> dict[str, Kept] | dict[str, Recomputed]:
    """What enters the tuned unit, kept where it fits: on the GPU, in memory or in files.

    Args:
        prefix: of the network, in evaluation mode.
        splits: pixels by split.
        sizes: samples at a time, by split.
        room: for what is kept, of which, or of what is free, half is taken at most.
    """
    first = next(iter(splits.values()))
    sample = prefix(first.clean(torch.zeros(1, dtype=torch.int64, device=first.labels.device)))
    needed = sum(len(split) for split in splits.values()) * sample.numel() * sample.element_size()
    place = room.place(needed, sample.device)
    kept: dict[str, Kept] = {}
    try:
        for name, split in splits.items() if place else ():
            shape = (len(split), *sample.shape[1:])
            if place == "files":
                values = _in_file(shape, sample.dtype, room.folder)
            else:
                where = sample.device if place == "device" else "cpu"
                values = torch.empty(shape, dtype=sample.dtype, device=where)
            kept[name] = Kept(values, split.labels)
    except OSError as error:  # a disk that filled up meanwhile
        logger.warning("%s: %s", room.folder, error.strerror)
        place = None
    if place is None:
        logger.info(
            "the frozen prefix is computed in every step: to keep it would take %.2f GB "
            "(runs.prefix_cache_gb: %g, and half of what is free)",
            needed / GB,
            room.budget_gb,
        )
        return {
            name: Recomputed(prefix, split, sizes[name], max(split.numbers, sample.numel()))
            for name, split in splits.items()
        }
    logger.info("keeping the frozen prefix, %.3f GB, in %s", needed / GB, place)
    for name, split in splits.items():
        values = kept[name].values
        for rows in torch.arange(len(split), device=split.labels.device).split(sizes[name]):
            values[rows] = prefix.of(split, rows, sizes[name])
        split.release()
    return kept


def _in_file(shape: tuple[int, ...], dtype: torch.dtype, folder: Path) -> Tensor:
    """An array in a file that goes away with the process, however it ends.

    Raises:
        OSError: the disk has no room for it.
    """
    count = torch.Size(shape).numel()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        # a sparse file would end the process by SIGBUS where the disk fills up
        os.posix_fallocate(file.fileno(), 0, count * dtype.itemsize)
        return torch.from_file(file.name, shared=True, size=count, dtype=dtype).view(shape)
