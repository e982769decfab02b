"""Index of weights that are split over several files: ``{"weight_map": {tensor: file}}``, in JSON.

The plan reads it too, so it imports no torch.
"""

import json
from pathlib import Path


def is_index(path: Path) -> bool:
    """Whether a file begins like JSON."""
    with path.open("rb") as file:
        return file.read(20).lstrip()[:1] == b"{"


def read_index(path: Path) -> dict[str, Path]:
    """The file of every tensor; ValueError if it is no index, or names files that are not beside it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise ValueError("JSON without a `weight_map` of tensors and files")
    if outside := [name for name in places.values() if Path(name).name != name]:
        raise ValueError(f"its shard {outside[0]!r} is not beside it")
    return {tensor: path.parent / name for tensor, name in places.items()}


def files_of(path: Path) -> list[Path]:
    """A file of weights and, if it is an index, those that it names; a broken index is left to its reader."""
    try:
        return [path, *sorted(set(read_index(path).values()))] if is_index(path) else [path]
    except (ValueError, OSError):
        return [path]
