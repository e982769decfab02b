"""Weights: read without unpickling, loaded strictly, digested."""

import hashlib
import json
import logging
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nctransfer.errors import ModelError
from nctransfer.storage.files import atomic_path

logger = logging.getLogger(__name__)

WRAPPERS = ("state_dict", "model_state_dict", "model")
LISTED = 5
METADATA_KEY = "nctransfer"


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file or a torch checkpoint.

    ``{"state_dict": ...}`` wrappers and the ``module.`` prefixes of DataParallel are
    taken off. A checkpoint is read with ``weights_only=True``: nothing is executed.

    Raises:
        ModelError: the file is missing, damaged, holds arbitrary objects or no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                contents: Any = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        else:
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path}: refused, it is no torch checkpoint of plain tensors (pickled objects can run any "
            "code); convert it to safetensors where you trust it"
        ) from None
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: damaged or not a weights file ({_first_line(error)})") from None
    return _plain(contents, path)


def _plain(contents: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(contents, Mapping) and isinstance(contents.get(wrapper), Mapping):
            contents = contents[wrapper]
    if not isinstance(contents, Mapping) or not any(isinstance(value, Tensor) for value in contents.values()):
        raise ModelError(f"{path}: no state dict in it (names with tensors, perhaps under one of {WRAPPERS})")
    state = {key: value for key, value in contents.items() if isinstance(value, Tensor)}
    while all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return state


def read_metadata(path: Path) -> dict[str, Any]:
    """Metadata that :func:`write_weights` put into a file; empty for files from elsewhere."""
    if Path(path).suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged or not a weights file ({_first_line(error)})") from None
    try:
        described: dict[str, Any] = json.loads(metadata.get(METADATA_KEY, "{}"))
    except json.JSONDecodeError as error:
        raise ModelError(f"{path}: its metadata are damaged ({error})") from None
    return described


def write_weights(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None) -> None:
    """Write a state dict as safetensors; the same tensors give the same bytes.

    Tensors that share memory are written each in full. Metadata travel as one JSON text
    under one key: safetensors writes several in an order that changes from process to process.
    """
    plain = {key: value.detach().to("cpu", copy=True).contiguous() for key, value in sorted(state.items())}
    text = {METADATA_KEY: json.dumps(metadata, sort_keys=True)} if metadata else None
    with atomic_path(path) as partial:
        save_file(plain, partial, metadata=text)


def weights_name(epoch: int | None = None) -> str:
    """Name of the file of a training's weights: at its end, or its snapshot after an epoch."""
    return "weights.safetensors" if epoch is None else f"epoch{epoch:05d}.safetensors"


def load_strictly(
    network: nn.Module, state: Mapping[str, Tensor], where: str, ignore: Sequence[str] = ()
) -> None:
    """Load every key of the backbone, or say which are missing, unexpected or of another shape.

    Args:
        network: receives the weights.
        state: names and tensors.
        where: the file or model that the message names.
        ignore: module paths (heads) that take no part.

    Raises:
        ModelError: anything but a perfect match. Only ``num_batches_tracked``, which no
            forward pass reads in evaluation mode, may be absent.
    """
    wanted = _without(network.state_dict(), ignore)
    given = _without(state, ignore)
    missing = [key for key in wanted if key not in given and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in given if key not in wanted]
    other = [
        f"{key} {tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    complaints = [
        f"{len(names)} {fault} ({_some(names)})"
        for fault, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
        if names
    ]
    if complaints:
        hint = "" if ignore else "; if only the classifier differs, set `head: false`"
        raise ModelError(
            f"{where}: does not fit {type(network).__name__}, {len(wanted) - len(missing) - len(other)} of "
            f"{len(wanted)} tensors match; {', '.join(complaints)}{hint}"
        )
    network.load_state_dict(given, strict=False)


def _without(state: Mapping[str, Tensor], modules: Sequence[str]) -> dict[str, Tensor]:
    prefixes = tuple(f"{path}." for path in modules)
    return {key: value for key, value in state.items() if not key.startswith(prefixes)}


def _some(names: Sequence[str]) -> str:
    rest = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + rest


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def refuse_non_finite(state: Mapping[str, Tensor], where: str) -> None:
    """Raise ModelError when any weight is NaN or infinite."""
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ModelError(f"{where}: {key} holds NaN or infinite values")


def fingerprint(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors, in the order of their names."""
    digest = hashlib.sha256()
    for key, value in sorted(state.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().to("cpu").contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()


def drop_heads(network: nn.Module, heads: Sequence[str]) -> None:
    """Replace the classification layers by identities: what is left is the backbone."""
    for path in heads:
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())


def zero_heads(network: nn.Module, heads: Sequence[str]) -> bool:
    """Whether the first classification layer's weight is all zeros, as where it was never published."""
    weight = getattr(network.get_submodule(heads[0]), "weight", None) if heads else None
    return weight is not None and not bool(weight.any())
