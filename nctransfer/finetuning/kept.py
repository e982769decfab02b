"""What enters the tuned unit: kept where there is room for it, computed for every batch elsewhere."""

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
        room: for what is kept; of memory and disk half is taken at most.
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
            "(allowed are runs.prefix_cache_gb: %g, and half of what is free or of resources.mem_mb)",
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
    """An array in a file that is gone from its folder at once, and from the disk with the process.

    Raises:
        OSError: the disk has no room for it.
    """
    count = torch.Size(shape).numel()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        # a sparse file would end the process by SIGBUS where the disk fills up
        os.posix_fallocate(file.fileno(), 0, count * dtype.itemsize)
        return torch.from_file(file.name, shared=True, size=count, dtype=dtype).view(shape)
