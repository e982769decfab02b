"""Checked features of several units, laid out so that all probes train at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nctransfer.collapse.inputs import as_tensor
from nctransfer.errors import DegenerateInputError

Array = Tensor | np.ndarray

ROWS_PER_COPY = 8192
"""Rows checked and copied at a time, so that a memory-mapped array is never in memory twice."""

COPIED_BYTES = 1 << 30
"""Largest copy of features in host memory; larger ones are read where they are, mostly from a memory map."""

ELEMENTS_PER_PRODUCT = {"cpu": 2**20, "cuda": 2**27}
"""Numbers per slice of a full pass: small enough for a CPU's cache, large enough to fill a GPU."""


@dataclass(frozen=True)
class UnitGroup:
    """Units of one width, side by side."""

    names: tuple[str, ...]  # the units, in the order of their columns
    width: int  # of the features of one unit, d
    columns: slice  # in the matrix of all features; those of unit u start at ``columns.start + u * d``


@dataclass(frozen=True)
class ProbeData:
    """Features and labels for training or evaluating probes."""

    groups: tuple[UnitGroup, ...]  # the units, grouped by width
    units: dict[str, Tensor]  # (N, d) features of each unit, in the order of the groups, any floating dtype
    # (N, sum of U * d), all units side by side, of which ``units`` are views: a row has all numbers of a
    # sample, so that selecting the samples of a batch reads memory once. None: each unit is where it was
    matrix: Tensor | None
    labels: Tensor  # (N,) int64 class indices on the features' device
    class_count: int  # number of classes, K
    dtype: torch.dtype  # of the products, hence of the weights

    @property
    def device(self) -> torch.device:
        """Device of features and labels."""
        return self.labels.device

    @property
    def width(self) -> int:
        """Numbers of a sample in all units together."""
        return self.groups[-1].columns.stop

    def select(self, index: Tensor, out: Tensor) -> None:
        """Copy the samples ``index`` (b,) of all units, side by side, to ``out`` (b, :attr:`width`)."""
        if self.matrix is not None:
            torch.index_select(self.matrix, 0, index, out=out)
            return
        start = 0
        for features in self.units.values():
            columns = out[:, start : start + features.shape[1]]
            columns.copy_(features.index_select(0, index))
            start += features.shape[1]


def gather(
    features: Mapping[str, Array], labels: Array, class_count: int, device: torch.device, dtype: torch.dtype
) -> ProbeData:
    """Check the features, and copy them to the device, side by side, where this pays.

    ``features`` are unit name -> (N, d), labels (N,). Not copied are a single unit that already has this
    device and dtype, and on the CPU more than :data:`COPIED_BYTES`: solvers read them block by block from
    where they are, for instance a memory map.

    Raises:
        DegenerateInputError: no units or samples, shapes that do not match, non-finite features, or labels
            outside 0 .. K-1. The message names the unit.
    """
    if not features:
        raise DegenerateInputError("features: no units to probe")
    targets = check_labels(labels, class_count)
    members: dict[int, list[str]] = {}
    for name, array in features.items():
        if array.ndim != 2 or array.shape[1] == 0:
            raise DegenerateInputError(
                f"unit {name}: features of shape {tuple(array.shape)}, allowed is (N, d)"
            )
        if array.shape[0] != len(targets):
            raise DegenerateInputError(
                f"unit {name}: {array.shape[0]} rows of features for {len(targets)} labels"
            )
        members.setdefault(int(array.shape[1]), []).append(name)
    groups, start = [], 0
    for width, names in sorted(members.items()):
        groups.append(UnitGroup(tuple(names), width, slice(start, start + width * len(names))))
        start += width * len(names)
    arrays = {name: as_tensor(features[name]) for group in groups for name in group.names}
    copied = len(targets) * start * dtype.itemsize
    if _stay(list(arrays.values()), copied, device, dtype):
        matrix, units = None, arrays
        for name, array in arrays.items():
            for rows in array.split(ROWS_PER_COPY):
                _check_finite(name, rows.to(dtype))
    else:
        matrix = _side_by_side(arrays, len(targets), start, device, dtype)
        widths = [array.shape[1] for array in arrays.values()]
        units = dict(zip(arrays, matrix.split(widths, dim=1), strict=True))
    return ProbeData(tuple(groups), units, matrix, targets.to(device), class_count, dtype)


def row_slices(samples: int, width: int, device: torch.device) -> Iterator[slice]:
    """Slices of rows for a full pass over (samples, width) features."""
    step = max(256, ELEMENTS_PER_PRODUCT.get(device.type, 2**20) // width)
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))


def check_labels(labels: Array, class_count: int | None = None) -> Tensor:
    """Labels (N,) int64; DegenerateInputError if empty, not 1-D, not integers, or no index of a class."""
    targets = torch.as_tensor(labels)
    if targets.ndim != 1 or len(targets) == 0:
        raise DegenerateInputError(f"labels: shape {tuple(targets.shape)}, allowed is (N,) with N > 0")
    if targets.is_floating_point() or targets.is_complex() or targets.dtype == torch.bool:
        raise DegenerateInputError(f"labels: type {targets.dtype}, allowed are integers")
    targets = targets.to(torch.int64)
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or (class_count is not None and high >= class_count):
        bound = "" if class_count is None else f" to {class_count - 1}"
        raise DegenerateInputError(f"labels: {low if low < 0 else high} found, allowed are 0{bound}")
    return targets


def _stay(arrays: list[Tensor], copied: int, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether features are used where they are."""
    if any(array.device != device or not array.is_floating_point() for array in arrays):
        return False
    single = len(arrays) == 1 and arrays[0].dtype == dtype and arrays[0].is_contiguous()
    return single or (device.type == "cpu" and copied > COPIED_BYTES)


def _side_by_side(
    arrays: Mapping[str, Tensor], samples: int, width: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    matrix = torch.empty(samples, width, device=device, dtype=dtype)
    columns = matrix.split([array.shape[1] for array in arrays.values()], dim=1)
    for (name, array), own in zip(arrays.items(), columns, strict=True):
        for rows, target in zip(array.split(ROWS_PER_COPY), own.split(ROWS_PER_COPY), strict=True):
            target.copy_(rows)
            _check_finite(name, target)
    return matrix


def _check_finite(name: str, rows: Tensor) -> None:
    if not torch.isfinite(rows).all():
        bad = int((~torch.isfinite(rows)).any(dim=1).sum())
        raise DegenerateInputError(f"unit {name}: features hold NaN or infinity (in {bad} or more rows)")


@dataclass(frozen=True)
class Weights:
    """Classifiers of the U units of a group under P settings: weight (U, P, K, d) and bias (U, P, K)."""

    weight: Tensor
    bias: Tensor
