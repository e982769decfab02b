"""Cache of the frozen prefix: its outputs are stored where there is room, otherwise recomputed."""

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
# Share of the free memory, or disk, that the cache may use.
SHARE = 0.5


@dataclass(frozen=True)
class CachedInputs:
    """A split as inputs of the tuned unit, computed once."""

    values: Tensor  # (N, ...), on the device of the labels; on the CPU possibly in a file
    labels: Tensor  # (N,), on the device

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def numbers(self) -> int:
        """Size of a sample, in numbers."""
        return self.values[0].numel()

    def clean(self, rows: Tensor) -> Tensor:
        """Inputs of samples ``rows``, on the device."""
        return self.values[rows]

    def augmented(self, rows: Tensor, keys: Tensor) -> Tensor:
        """The same as :meth:`clean`: nothing here is random."""
        return self.clean(rows)


@dataclass(frozen=True)
class RecomputedInputs:
    """A split as inputs of the tuned unit, recomputed at each access."""

    prefix: Prefix  # that computes them
    split: Pixels  # its pixels
    size: int  # samples at a time
    numbers: int  # size of a sample in memory, as pixels or as output of the prefix

    def __len__(self) -> int:
        return len(self.split)

    @property
    def labels(self) -> Tensor:
        """Classes (N,), on the device."""
        return self.split.labels

    def clean(self, rows: Tensor) -> Tensor:
        """Inputs of samples ``rows``, on the device."""
        return self.prefix.of(self.split, rows, self.size)

    def augmented(self, rows: Tensor, keys: Tensor) -> Tensor:
        """The same as :meth:`clean`: nothing here is random."""
        return self.clean(rows)


@dataclass(frozen=True)
class Room:
    """Limits of the cache."""

    budget_gb: float  # largest size, wherever it is stored
    memory_gb: float  # host memory that the job requested
    folder: Path  # for files

    def place(self, needed: int, taken: int, device: torch.device) -> str | None:
        """``device``, ``memory`` or ``files`` for ``needed`` more bytes; None where there is no room."""
        if taken + needed > self.budget_gb * GB:
            return None
        if device.type == "cuda":  # a copy from the host would take longer than to recompute it
            return "device" if needed <= SHARE * torch.cuda.mem_get_info(device)[0] else None
        if needed <= min(SHARE * self.memory_gb * GB - taken, SHARE * psutil.virtual_memory().available):
            return "memory"
        self.folder.mkdir(parents=True, exist_ok=True)
        return "files" if needed <= SHARE * shutil.disk_usage(self.folder).free else None


def cache_prefix(
    prefix: Prefix, splits: Mapping[str, Pixels], sizes: Mapping[str, int], room: Room
) -> dict[str, CachedInputs | RecomputedInputs]:
    """Inputs of the tuned unit, cached where they fit: on the GPU, in memory or in files.

    The splits that are read most often come first: training images are read in every epoch, and a split that
    does not fit is recomputed in every step, ``sizes`` samples at a time.
    """
    first = next(iter(splits.values()))
    sample = prefix(first.clean(torch.zeros(1, dtype=torch.int64, device=first.labels.device)))
    entering: dict[str, CachedInputs | RecomputedInputs] = {}
    taken = 0
    for name, split in splits.items():
        needed = len(split) * sample.numel() * sample.element_size()
        place = room.place(needed, taken, sample.device)
        values = _allocate((len(split), *sample.shape[1:]), sample, place, room.folder) if place else None
        if values is None:
            logger.info(
                "%s: the frozen prefix is recomputed in every step: its cache would take %.2f GB (limits: "
                "operation.prefix_cache_gb: %g, and half of the free space or of resources.mem_mb)",
                *(name, needed / GB, room.budget_gb),
            )
            entering[name] = RecomputedInputs(prefix, split, sizes[name], max(split.numbers, sample.numel()))
            continue
        logger.info("%s: caching the frozen prefix, %.3g GB, in %s", name, needed / GB, place)
        taken += needed
        for rows in torch.arange(len(split), device=split.labels.device).split(sizes[name]):
            values[rows] = prefix.of(split, rows, sizes[name])
        entering[name] = CachedInputs(values, split.labels)
        split.release()
    return entering


def _allocate(shape: tuple[int, ...], sample: Tensor, place: str, folder: Path) -> Tensor | None:
    """An array to be filled, None where the disk has become full."""
    if place != "files":
        return torch.empty(shape, dtype=sample.dtype, device=sample.device if place == "device" else "cpu")
    try:
        return _unlinked_file(shape, sample.dtype, folder)
    except OSError as error:
        logger.warning("%s: %s", folder, error.strerror)
        return None


def _unlinked_file(shape: tuple[int, ...], dtype: torch.dtype, folder: Path) -> Tensor:
    """An array in a file that has no name and is deleted with the process; OSError if the disk is full."""
    count = torch.Size(shape).numel()
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        # with a sparse file a full disk would kill the process by SIGBUS
        os.posix_fallocate(file.fileno(), 0, count * dtype.itemsize)
        return torch.from_file(file.name, shared=True, size=count, dtype=dtype).view(shape)
