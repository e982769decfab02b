"""Features and labels as tensors, with the checks before any metric."""

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nctransfer.errors import DegenerateInputError

FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGER = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def as_tensor(array: Tensor | NDArray) -> Tensor:
    """Tensor without gradient, sharing the memory of the array where its layout allows this."""
    if isinstance(array, Tensor):
        return array.detach()
    with warnings.catch_warnings():
        # read-only memory maps are allowed, because nothing writes into the input
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(np.asarray(array))


def checked_features(features: Tensor | NDArray, name: str) -> Tensor:
    """Features (N, d) as a tensor; DegenerateInputError if not a matrix, empty or not of a floating dtype."""
    rows = as_tensor(features)
    if rows.ndim != 2:
        raise DegenerateInputError(f"{name}: features have shape {tuple(rows.shape)}, allowed is (N, d)")
    if rows.dtype not in FLOATING:
        allowed = ", ".join(str(kind).removeprefix("torch.") for kind in FLOATING)
        raise DegenerateInputError(f"{name}: features are {rows.dtype}, allowed are {allowed}")
    if rows.shape[0] == 0 or rows.shape[1] == 0:
        raise DegenerateInputError(f"{name}: features of shape {tuple(rows.shape)} are empty")
    return rows


def checked_labels(labels: Tensor | NDArray, features: Tensor, classes: int | None, name: str) -> Tensor:
    """Labels (N,) as int64 on the features' device; DegenerateInputError: no integers, or out of range."""
    targets = as_tensor(labels)
    if targets.shape != features.shape[:1]:
        raise DegenerateInputError(
            f"{name}: labels have shape {tuple(targets.shape)}, features {tuple(features.shape)}: "
            f"allowed is one label a row, shape ({len(features)},)"
        )
    if targets.dtype not in INTEGER:
        raise DegenerateInputError(f"{name}: labels are {targets.dtype}, allowed are integers")
    targets = targets.to(device=features.device, dtype=torch.int64)
    wrong = targets < 0 if classes is None else (targets < 0) | (targets >= classes)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        allowed = "0 or more" if classes is None else f"0 to {classes - 1}"
        raise DegenerateInputError(
            f"{name}: {int(wrong.sum())} labels out of range, first {int(targets[row])} in row {row}, "
            f"allowed is {allowed}"
        )
    return targets


def refuse_non_finite(features: Tensor, labels: Tensor, name: str) -> None:
    """Raise DegenerateInputError naming rows with NaN or infinity, for features with a non-finite sum."""
    rows = torch.cat([~torch.isfinite(part).all(1) for part in features.split(4096)]).nonzero().flatten()
    if len(rows) == 0:
        raise DegenerateInputError(f"{name}: features so large that their sum overflows; scale them down")
    first = int(rows[0])
    raise DegenerateInputError(
        f"{name}: {len(rows)} of {len(features)} rows hold NaN or infinity, "
        f"first row {first} (class {int(labels[first])})"
    )
