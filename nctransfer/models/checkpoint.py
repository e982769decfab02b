"""Weights: the project's own files, strict loading, digests."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nctransfer.errors import ModelError
from nctransfer.storage.files import atomic_path

logger = logging.getLogger(__name__)

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
LISTED = 5
UNREAD = "num_batches_tracked"  # no forward pass in evaluation mode reads it
METADATA_KEY = "nctransfer"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict that :func:`write_weights` wrote; ModelError if the file is missing or damaged."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged or not a weights file ({first_line(error)})") from None


def is_safetensors(path: Path) -> bool:
    """Whether a file begins like safetensors: eight bytes of length, then JSON."""
    with Path(path).open("rb") as file:
        return file.read(9)[8:] == b"{"


def read_metadata(path: Path) -> dict[str, Any]:
    """Metadata written by :func:`write_weights`; empty for other files."""
    if not is_safetensors(path):
        return {}
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged or not a weights file ({first_line(error)})") from None
    try:
        described: dict[str, Any] = json.loads(metadata.get(METADATA_KEY, "{}"))
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: its metadata are damaged ({error})") from None
    return described


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None) -> None:
    """Write a state dict as safetensors; the same tensors give the same bytes.

    Tensors that share memory are each written in full. Metadata are one JSON text under one key, because
    safetensors writes several keys in an order that differs between processes.
    """
    plain = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in sorted(state.items())}
    text = {METADATA_KEY: json.dumps(metadata, sort_keys=True)} if metadata else None
    with atomic_path(path) as partial:
        save_file(plain, partial, metadata=text)


def weights_name(epoch: int | None = None) -> str:
    """File name of a training's weights: the final ones, or the snapshot after an epoch."""
    return "weights.safetensors" if epoch is None else f"epoch{epoch:05d}.safetensors"


def load_strictly(
    network: nn.Module, state: Mapping[str, Tensor], where: str, ignore: Sequence[str] = ()
) -> None:
    """Load all tensors, or raise ModelError naming those that are missing, unexpected or of another shape.

    So are numbers that are no plain floats, such as quantised ones, whose scales are not known.

    ``where`` names the file or model in the message, ``ignore`` are paths of modules (heads) that are not
    loaded. Only ``num_batches_tracked``, which no forward pass in evaluation mode reads, may be missing.
    """
    expected = _without(network.state_dict(), ignore)
    loaded = _without(state, ignore)
    missing = [key for key in expected if key not in loaded and not key.endswith(UNREAD)]
    unexpected = [key for key in loaded if key not in expected]
    mismatched = [
        f"{key} {tuple(loaded[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in loaded and loaded[key].shape != expected[key].shape
    ]
    quantised = [
        f"{key} ({str(value.dtype).removeprefix('torch.')})"
        for key, value in loaded.items()
        if key in expected and expected[key].is_floating_point() and value.dtype not in FLOATS
    ]
    if quantised:
        raise ModelError(
            f"{where}: {len(quantised)} tensors are quantised, or of another type that needs scales: "
            f"{_some(quantised)}; save the weights as float32, float16 or bfloat16"
        )
    complaints = [
        f"{len(names)} {fault} ({_some(names)})"
        for fault, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", mismatched),
        )
        if names
    ]
    if complaints:
        hint = "" if ignore else "; if only the classifier differs, set `head: false`"
        raise ModelError(
            f"{where}: does not match {type(network).__name__}, "
            f"{len(expected.keys() & loaded.keys()) - len(mismatched)} of {len(expected)} tensors match; "
            f"{', '.join(complaints)}{hint}"
        )
    network.load_state_dict(loaded, strict=False)


def _without(state: Mapping[str, Tensor], modules: Sequence[str]) -> dict[str, Tensor]:
    prefixes = tuple(f"{path}." for path in modules)
    return {key: value for key, value in state.items() if not key.startswith(prefixes)}


def _some(names: Sequence[str]) -> str:
    more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def first_line(error: BaseException) -> str:
    """First line of an error's message, or its type without one."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def refuse_non_finite(state: Mapping[str, Tensor], where: str) -> None:
    """Raise ModelError when any weight is NaN or infinite."""
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(f"{where}: {key} holds NaN or infinite values")


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, dtypes, shapes and bytes of all tensors, sorted by name."""
    digest = hashlib.sha256()
    for key, value in sorted(state.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().to("cpu").contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()


def drop_heads(network: nn.Module, heads: Sequence[str]) -> None:
    """Replace the classification layers by identities, which leaves the backbone."""
    for path in heads:
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())


def zero_heads(network: nn.Module, heads: Sequence[str]) -> bool:
    """Whether the weight of the first classification layer is all zeros, as where it was never published."""
    weight = getattr(network.get_submodule(heads[0]), "weight", None) if heads else None
    return weight is not None and not bool(weight.any())
