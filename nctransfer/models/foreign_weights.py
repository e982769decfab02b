"""Weights in files that others wrote: recognised by content, unwrapped until names match the network.

A file is never unpickled with code of its own (``weights_only``). What is taken of it, and why, is logged.
"""

import argparse
import errno
import logging
import pathlib
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from nctransfer.errors import ModelError
from nctransfer.models.checkpoint import UNREAD, first_line, is_safetensors
from nctransfer.models.weights_index import is_index, read_index

logger = logging.getLogger(__name__)

State = Mapping[str, Tensor]
Adapt = Callable[[State], dict[str, Tensor]]

DEPTH = 4  # mappings in mappings; checkpoints of known libraries nest two deep
LISTED = 8
# In keys and prefixes. Averages of weights transfer better than the last ones: timm prefers them too. Of the
# two encoders of contrastive learning the papers evaluate the one that is trained by gradients.
AVERAGED = ("ema", "swa", "averaged", "average", "avg", "teacher")
FOLLOWING = ("encoder_k", "momentum_encoder", "target_encoder", "target_network", "key_encoder")
# What torch's unpickler raises beside its own error when bytes are missing.
MALFORMED = (LookupError, ValueError, TypeError, AttributeError, AssertionError)
# Plain values that training scripts store beside the weights; none of these classes runs anything.
SCALAR, ARRAY = np.float64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]  # what numpy's pickles call
METADATA: list[Any] = [
    argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath, np.dtype, np.ndarray,
    *(type(np.dtype(name)) for name in ("float64", "float32", "int64", "int32", "bool")),
    SCALAR, (SCALAR, "numpy.core.multiarray.scalar"),  # as numpy 1 names it
    ARRAY, (ARRAY, "numpy.core.multiarray._reconstruct"),
]  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """Tensors in a file that may be the network's weights."""

    key: str  # where they are in the file, such as ``state_dict``; empty at the top
    prefix: str  # what is left out at the start of their names, such as ``module.``
    state: dict[str, Tensor] = field(repr=False)  # by the names of the network, as far as they match
    matched: int  # number of the network's tensors that are among them, with the right shape

    @property
    def where(self) -> str:
        """Key and prefix, for readers."""
        found = f"`{self.key}`" if self.key else "the top level"
        return f"{found} without the prefix {self.prefix!r}" if self.prefix else found

    @property
    def rank(self) -> int:
        """2 for averaged weights, 0 for the encoder that follows another, else 1."""
        words = f"{self.key}.{self.prefix}".lower()
        if any(word in words for word in FOLLOWING):
            return 0
        parts = words.replace("_", ".").split(".")
        return 2 if any(word in parts for word in AVERAGED) else 1


def choose(
    contents: Any,
    path: Path,
    expected: State,
    adapt: Adapt = dict,
    heads: Sequence[str] = (),
    key: str | None = None,
    prefix: str | None = None,
) -> dict[str, Tensor]:
    """Of all tensors in a file those that match a network best, by its names.

    Args:
        contents: of the file, as :func:`read_file` gives them.
        path: of the file, for messages.
        expected: state dict of the network.
        adapt: gives tensors the network's own names.
        heads: paths of classification layers, which may have any shape or be missing.
        key: takes the tensors under this key of the file; nested ones with dots.
        prefix: takes those whose names begin with this.

    Raises:
        ModelError: nothing in the file matches, or two parts of it match equally well.
    """
    wanted = {
        name: value.shape
        for name, value in expected.items()
        if not name.startswith(tuple(f"{head}." for head in heads)) and not name.endswith(UNREAD)
    }
    found = [
        _candidate(where, chosen, state, adapt, wanted)
        for where, state in states(contents)
        if key is None or where == key
        for chosen in ([prefix] if prefix is not None else _prefixes(state, wanted))
    ]
    best = max((candidate.matched for candidate in found), default=0)
    if not best:
        raise ModelError(f"{path}: no tensor matches the network; {_outline(contents, key, prefix)}")
    equal = [candidate for candidate in found if candidate.matched == best]
    highest = max(candidate.rank for candidate in equal)
    chosen, *others = _different([candidate for candidate in equal if candidate.rank == highest])
    if others:
        raise ModelError(
            f"{path}: {' and '.join(candidate.where for candidate in (chosen, *others))} match the network "
            f"equally well ({best} of {len(wanted)} tensors); choose with `weights_key` or `weights_prefix`"
        )
    passed = [candidate.where for candidate in _different(equal) if candidate.rank < highest]
    why = f", rather than {' and '.join(passed)}" if passed else ""
    dtypes = sorted({str(value.dtype).removeprefix("torch.") for value in chosen.state.values()})
    told = f"{path}: {chosen.where}{why}; {best} of {len(wanted)} tensors match, {' and '.join(dtypes)}"
    logger.info("%s", told)
    return chosen.state


# --- files -----------------------------------------------------------------------------


def read_file(path: Path) -> Any:
    """Contents of a safetensors file, an index of shards or a torch checkpoint, whatever its suffix.

    ModelError if it is missing, damaged, or holds other objects than tensors and plain values.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    try:
        return _sharded(path) if is_index(path) else _one_file(path)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, OSError, *MALFORMED) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the machine's fault
            raise
        if isinstance(error, pickle.UnpicklingError) and _is_pickle(path):
            raise ModelError(
                f"{path}: refused, it is not a torch checkpoint of tensors and plain values "
                f"({_refused(error)}); objects in it could run any code. Convert it to safetensors if you "
                "trust it"
            ) from None
        raise ModelError(f"{path}: damaged or not a weights file ({first_line(error)})") from None


def _is_pickle(path: Path) -> bool:
    """Whether a file begins like a pickle, or like the archive in which torch saves one."""
    with path.open("rb") as file:
        return file.read(4)[:1] == b"\x80" or zipfile.is_zipfile(path)


def _refused(error: pickle.UnpicklingError) -> str:
    """What an unpickler stopped at."""
    lines = [line.strip() for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line]
    return lines[0] if lines else first_line(error)


def _one_file(path: Path) -> Any:
    if is_safetensors(path):
        return load_file(path)
    # of a path torch would believe the suffix
    with path.open("rb") as file, torch.serialization.safe_globals(METADATA):
        return torch.load(file, map_location="cpu", weights_only=True)


def _sharded(path: Path) -> dict[str, Tensor]:
    """All tensors of an index."""
    places = read_index(path)
    shards = {file: _one_file(file) for file in sorted(set(places.values()))}
    for key, file in places.items():
        if not isinstance(shards[file], Mapping) or key not in shards[file]:
            raise ValueError(f"its shard {file.name!r} has no {key}")
    return {key: shards[file][key] for key, file in places.items()}


# --- what may be the network's ------------------------------------------------------------


def states(contents: Any, where: str = "", depth: int = DEPTH) -> Iterator[tuple[str, State]]:
    """Every mapping with tensors in a file, with the keys that lead to it, joined by dots."""
    if not isinstance(contents, Mapping):
        return
    names = [name for name in contents if isinstance(name, str)]
    tensors = {name: contents[name] for name in names if isinstance(contents[name], Tensor)}
    if tensors:
        yield where, tensors
    for name in names if depth else ():
        yield from states(contents[name], f"{where}.{name}".lstrip("."), depth - 1)


def _prefixes(state: State, wanted: Mapping[str, torch.Size]) -> list[str]:
    """Beginnings of names after which names of the network follow, and those that all names share."""
    found = {""}
    names = list(state)
    for name in names:
        parts = name.split(".")
        for cut in range(1, len(parts)):
            if ".".join(parts[cut:]) in wanted:
                found.add(".".join(parts[:cut]) + ".")
    first, last = min(names).split("."), max(names).split(".")  # what these two share all names do
    for cut in range(1, min(len(first), len(last))):
        if first[:cut] == last[:cut]:
            found.add(".".join(first[:cut]) + ".")
    return sorted(found)


def _candidate(
    key: str, prefix: str, state: State, adapt: Adapt, wanted: Mapping[str, torch.Size]
) -> Candidate:
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    adapted = adapt(own)
    matched = sum(name in adapted and adapted[name].shape == shape for name, shape in wanted.items())
    return Candidate(key, prefix, adapted, matched)


def _different(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates without those that hold the same tensors as one before."""
    found: list[Candidate] = []
    for candidate in candidates:
        if not any(_same(candidate.state, other.state) for other in found):
            found.append(candidate)
    return found


def _same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(
        value.dtype == other[name].dtype and torch.equal(value, other[name]) for name, value in one.items()
    )


def _outline(contents: Any, key: str | None, prefix: str | None) -> str:
    """What a file holds, for a reader who must choose."""
    if not isinstance(contents, Mapping):
        return f"it holds a {type(contents).__name__}"
    held = dict(states(contents))
    if key is not None and key not in held:
        return f"it has no tensors under `weights_key` {key!r}; there are: {', '.join(map(repr, held))}"
    names = [name for where, state in held.items() if key in (None, where) for name in state]
    begins = [name.split(".")[0] + "." for name in names if "." in name]
    common = max(set(begins), key=begins.count) if begins else ""
    told = [f"top-level keys: {', '.join(map(str, list(contents)[:LISTED]))}"]
    if common:
        told.append(f"the commonest prefix is {common!r}")
    if prefix and not any(name.startswith(prefix) for name in names):
        told.append(f"none begins with `weights_prefix` {prefix!r}")
    return "; ".join(told)
