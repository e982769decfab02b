"""Checked features of several units, laid out so that all probes train at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nctransfer.errors import DegenerateInputError

Array = Tensor | np.ndarray

ROWS_PER_COPY = 8192
"""Rows checked and copied at a time, so that a memory-mapped array is never held twice."""

ELEMENTS_PER_PRODUCT = {"cpu": 2**20, "cuda": 2**27}
"""Features a slice of a full pass: small enough for a CPU's cache, large enough to fill a GPU."""


@dataclass(frozen=True)
class UnitGroup:
    """Units of one width, side by side.

    Attributes:
        names: the units, in the order of their columns.
        width: features of one unit, d.
        matrix: (N, U * d) features; unit u owns the columns ``u * d`` to ``(u + 1) * d``.
    """

    names: tuple[str, ...]
    width: int
    matrix: Tensor

    def unit(self, index: int) -> Tensor:
        """Features of one unit, (N, d), without a copy."""
        return self.matrix[:, index * self.width : (index + 1) * self.width]


@dataclass(frozen=True)
class ProbeData:
    """What probes are trained or measured on.

    Attributes:
        groups: the units, gathered by width.
        labels: (N,) int64 class indices on the features' device.
        class_count: number of classes, K.
    """

    groups: tuple[UnitGroup, ...]
    labels: Tensor
    class_count: int

    @property
    def device(self) -> torch.device:
        """Where features and labels are."""
        return self.labels.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the features, hence of the weights."""
        return self.groups[0].matrix.dtype


def gather(
    features: Mapping[str, Array],
    labels: Array,
    class_count: int,
    device: torch.device,
    dtype: torch.dtype,
) -> ProbeData:
    """Check the features and bring them to the device once.

    A lone unit of its width that already is a tensor of this device and type is used where it is.

    Args:
        features: unit name -> (N, d) array; memory-mapped arrays are read once, in slices.
        labels: (N,) class indices.
        class_count: number of classes, K.
        device: where the probes are trained.
        dtype: floating type that they are trained in.

    Raises:
        DegenerateInputError: no units or samples, shapes that do not fit each other, non-finite
            features, or labels outside 0 .. K-1. The message names the unit.
    """
    if not features:
        raise DegenerateInputError("features: no units to probe")
    targets = check_labels(labels, class_count)
    members: dict[int, list[str]] = {}
    for name, array in features.items():
        _check_shape(name, array, len(targets))
        members.setdefault(int(array.shape[1]), []).append(name)
    groups = tuple(
        UnitGroup(tuple(names), width, _side_by_side({n: features[n] for n in names}, width, device, dtype))
        for width, names in sorted(members.items())
    )
    return ProbeData(groups, targets.to(device), class_count)


def row_slices(samples: int, width: int, device: torch.device) -> Iterator[slice]:
    """Slices of rows for a full pass over (samples, width) features."""
    step = max(256, ELEMENTS_PER_PRODUCT.get(device.type, 2**20) // width)
    for start in range(0, samples, step):
        yield slice(start, min(start + step, samples))


def check_labels(labels: Array, class_count: int | None = None) -> Tensor:
    """Labels as an int64 tensor, (N,).

    Args:
        labels: class indices.
        class_count: number of classes; None allows any index from 0.

    Raises:
        DegenerateInputError: none at all, not one-dimensional, not whole numbers, or out of range.
    """
    found = torch.as_tensor(labels)
    if found.ndim != 1 or len(found) == 0:
        raise DegenerateInputError(f"labels: shape {tuple(found.shape)}, allowed is (N,) with N > 0")
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise DegenerateInputError(f"labels: type {found.dtype}, allowed are integers")
    found = found.to(torch.int64)
    low, high = int(found.min()), int(found.max())
    if low < 0 or (class_count is not None and high >= class_count):
        bound = "" if class_count is None else f" to {class_count - 1}"
        raise DegenerateInputError(f"labels: {low if low < 0 else high} found, allowed are 0{bound}")
    return found


def _check_shape(name: str, array: Array, samples: int) -> None:
    if array.ndim != 2 or array.shape[1] == 0:
        raise DegenerateInputError(f"unit {name}: features of shape {tuple(array.shape)}, allowed is (N, d)")
    if array.shape[0] != samples:
        raise DegenerateInputError(f"unit {name}: {array.shape[0]} rows of features for {samples} labels")


def _side_by_side(
    members: Mapping[str, Array], width: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Features of units of one width as one (N, U * d) matrix."""
    name, first = next(iter(members.items()))
    if len(members) == 1 and isinstance(first, Tensor) and _in_place(first, device, dtype):
        for start in range(0, len(first), ROWS_PER_COPY):
            _check_finite(name, first[start : start + ROWS_PER_COPY])
        return first
    matrix = torch.empty(first.shape[0], width * len(members), device=device, dtype=dtype)
    for index, (name, array) in enumerate(members.items()):
        columns = matrix[:, index * width : (index + 1) * width]
        for start in range(0, len(columns), ROWS_PER_COPY):
            rows = array[start : start + ROWS_PER_COPY]
            target = columns[start : start + ROWS_PER_COPY]
            # np.array, not as_tensor: torch warns about memory maps that are read-only.
            target.copy_(rows if isinstance(rows, Tensor) else torch.from_numpy(np.array(rows)))
            _check_finite(name, target)
    return matrix


def _in_place(array: Tensor, device: torch.device, dtype: torch.dtype) -> bool:
    return array.dtype == dtype and array.device == device and array.is_contiguous()


def _check_finite(name: str, rows: Tensor) -> None:
    if not torch.isfinite(rows).all():
        bad = int((~torch.isfinite(rows)).any(dim=1).sum())
        raise DegenerateInputError(f"unit {name}: features hold NaN or infinity (in {bad} or more rows)")
