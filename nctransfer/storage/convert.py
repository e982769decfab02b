"""Stores of the older layout, whose arrays lay beside the manifest: find and convert them."""

import json
import os
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

from nctransfer.storage.files import atomic_path, link_or_copy
from nctransfer.storage.stores import ARRAYS, MANIFEST

# Where stores lie below a study's results, and which of their files are in the folder of arrays now.
_PLACES = ("images/*/*", "pretraining/*", "models/*", "finetuning/*", "features/*/*/*", "probes/*/*")
_ARRAYS = ("*.npy", "*.safetensors", "features.parquet")


def old_stores(results: Path) -> list[Path]:
    """Manifests of the stores of the older layout in a study's folder of results."""
    found = []
    for place in _PLACES:
        for manifest in sorted(results.glob(f"{place}/{MANIFEST}")):
            try:
                names = json.loads(manifest.read_text(encoding="utf-8"))["files"]
            except (ValueError, KeyError, TypeError):  # damaged, which whoever reads the store will say
                continue
            if _arrays(names):
                found.append(manifest)
    return found


def convert(manifest: Path) -> None:
    """Give an older store the present layout and its own time; can be repeated if it was interrupted."""
    status, contents = manifest.stat(), json.loads(manifest.read_text(encoding="utf-8"))
    moved = _arrays(contents["files"])
    for name in moved:
        with atomic_path(manifest.parent / ARRAYS / name) as partial:
            link_or_copy(manifest.with_name(name), partial)
        contents["files"][f"{ARRAYS}/{name}"] = contents["files"].pop(name)
    if moved:
        with atomic_path(manifest) as partial:
            partial.write_text(json.dumps(contents, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
    for name in contents["files"]:
        if name.startswith(f"{ARRAYS}/"):
            manifest.with_name(name.removeprefix(f"{ARRAYS}/")).unlink(missing_ok=True)


def _arrays(names: Iterable[str]) -> list[str]:
    """Files of a store that lie beside its manifest and have the folder of arrays as their place now."""
    return [name for name in names if any(fnmatch(name, kind) for kind in _ARRAYS) and "/" not in name]
