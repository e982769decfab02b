"""Cache of the frozen prefix: what enters the tuned unit is kept where there is room, else computed anew."""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

from nctransfer.finetuning.data import Pixels
from nctransfer.finetuning.prefix import Prefix

logger = logging.getLogger(__name__)

GB = 10**9
# Share of the free memory, or disk, that may be taken.
SHARE = 0.5


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

    def place(self, needed: int, taken: int, device: torch.device) -> str | None:
        """``device``, ``memory`` or ``files`` for so many bytes; None where they fit nowhere.

        Args:
            needed: bytes.
            taken: bytes of the budget that are kept already.
            device: that computes.
        """
        if taken + needed > self.budget_gb * GB:
            return None
        if device.type == "cuda":  # to fetch it from the host takes longer than to compute it
            return "device" if needed <= SHARE * torch.cuda.mem_get_info(device)[0] else None
        if needed <= min(SHARE * self.memory_gb * GB - taken, SHARE * psutil.virtual_memory().available):
            return "memory"
        self.folder.mkdir(parents=True, exist_ok=True)
        return "files" if needed <= SHARE * shutil.disk_usage(self.folder).free else None


def keep(
    prefix: Prefix, splits: Mapping[str, Pixels], sizes: Mapping[str, int], room: Room
) -> dict[str, Kept | Recomputed]:
    """What enters the tuned unit, kept where it fits: on the GPU, in memory or in files.

    Training images come first: they are read in every epoch, and a split that does not fit is
    computed in every step, beside another that is kept.

    Args:
        prefix: of the network, in evaluation mode.
        splits: pixels by split, those that are read most often first.
        sizes: samples at a time, by split.
        room: for what is kept; of memory and disk half is taken at most.
    """
    first = next(iter(splits.values()))
    sample = prefix(first.clean(torch.zeros(1, dtype=torch.int64, device=first.labels.device)))
    entering: dict[str, Kept | Recomputed] = {}
    taken = 0
    for name, split in splits.items():
        needed = len(split) * sample.numel() * sample.element_size()
        place = room.place(needed, taken, sample.device)
        values = _empty((len(split), *sample.shape[1:]), sample, place, room.folder) if place else None
        if values is None:
            logger.info(
                "%s: the frozen prefix is computed in every step: to keep it would take %.2f GB (allowed are "
                "operation.prefix_cache_gb: %g, and half of what is free or of resources.mem_mb)",
                name,
                needed / GB,
                room.budget_gb,
            )
            entering[name] = Recomputed(prefix, split, sizes[name], max(split.numbers, sample.numel()))
            continue
        logger.info("%s: keeping the frozen prefix, %.3g GB, in %s", name, needed / GB, place)
        taken += needed
        for rows in torch.arange(len(split), device=split.labels.device).split(sizes[name]):
            values[rows] = prefix.of(split, rows, sizes[name])
        entering[name] = Kept(values, split.labels)
        split.release()
    return entering


def _empty(shape: tuple[int, ...], sample: Tensor, place: str, folder: Path) -> Tensor | None:
    """An array to be filled, None where the disk has filled up meanwhile."""
    if place != "files":
        return torch.empty(shape, dtype=sample.dtype, device=sample.device if place == "device" else "cpu")
    try:
        return _in_file(shape, sample.dtype, folder)
    except OSError as error:
        logger.warning("%s: %s", folder, error.strerror)
        return None


def _in_file(shape: tuple[int, ...], dtype: torch.dtype, folder: Path) -> Tensor:
    """An array in a file that is gone from its folder at once, and from the disk with the process.

    Raises:
        OSError: the disk has no room for it.
    """
    count = torch.Size(shape).numel()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        # a sparse file would end the process by SIGBUS where the disk fills up
        os.posix_fallocate(file.fileno(), 0, count * dtype.itemsize)
        return torch.from_file(file.name, shared=True, size=count, dtype=dtype).view(shape)
