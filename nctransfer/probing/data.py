"""Checked features of several units, in one matrix so that all probes train at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nctransfer.errors import DegenerateInputError

Array = Tensor | np.ndarray

ROWS_PER_COPY = 8192
"""Rows checked and copied at a time, so that a memory-mapped array is never in memory twice."""

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
    # (N, sum of U * d), all features: a row has all numbers of a sample, so that selecting the samples of a
    # batch reads memory once
    matrix: Tensor
    labels: Tensor  # (N,) int64 class indices on the features' device
    class_count: int  # number of classes, K

    @property
    def device(self) -> torch.device:
        """Device of features and labels."""
        return self.matrix.device

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the features, hence of the weights."""
        return self.matrix.dtype

    def unit(self, group: UnitGroup, index: int) -> Tensor:
        """Features of one unit of a group, (N, d), without a copy."""
        start = group.columns.start + index * group.width
        return self.matrix[:, start : start + group.width]


def gather(
    features: Mapping[str, Array], labels: Array, class_count: int, device: torch.device, dtype: torch.dtype
) -> ProbeData:
    """Check the features and copy them to the device once.

    ``features`` are unit name -> (N, d), labels (N,). Memory-mapped arrays are read once, in slices; a single
    unit that already is a tensor of this device and dtype is not copied.

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
    ordered = {name: features[name] for group in groups for name in group.names}
    matrix = _side_by_side(ordered, len(targets), start, device, dtype)
    return ProbeData(tuple(groups), matrix, targets.to(device), class_count)


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


def _side_by_side(
    features: Mapping[str, Array], samples: int, width: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    name, first = next(iter(features.items()))
    if len(features) == 1 and isinstance(first, Tensor) and _in_place(first, device, dtype):
        for start in range(0, samples, ROWS_PER_COPY):
            _check_finite(name, first[start : start + ROWS_PER_COPY])
        return first
    matrix = torch.empty(samples, width, device=device, dtype=dtype)
    column = 0
    for name, array in features.items():
        columns = matrix[:, column : column + array.shape[1]]
        column += array.shape[1]
        for start in range(0, samples, ROWS_PER_COPY):
            rows = array[start : start + ROWS_PER_COPY]
            target = columns[start : start + ROWS_PER_COPY]
            # np.array, not as_tensor, because torch warns about read-only memory maps
            target.copy_(rows if isinstance(rows, Tensor) else torch.from_numpy(np.array(rows)))
            _check_finite(name, target)
    return matrix


def _in_place(array: Tensor, device: torch.device, dtype: torch.dtype) -> bool:
    return array.dtype == dtype and array.device == device and array.is_contiguous()


def _check_finite(name: str, rows: Tensor) -> None:
    if not torch.isfinite(rows).all():
        bad = int((~torch.isfinite(rows)).any(dim=1).sum())
        raise DegenerateInputError(f"unit {name}: features hold NaN or infinity (in {bad} or more rows)")


@dataclass(frozen=True)
class Weights:
    """Classifiers of the U units of a group under P settings: weight (U, P, K, d) and bias (U, P, K)."""

    weight: Tensor
    bias: Tensor
