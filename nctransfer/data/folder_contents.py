"""Names and sizes of the files below a folder of the user's. No picture is opened."""

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "@eadir", "$recycle.bin"})


def is_hidden(name: str) -> bool:
    """Whether systems and editors, not people, put files of this name among pictures."""
    return name.startswith(".") or name.lower() in _HIDDEN


def folder_digest(path: Path) -> str:
    """Digest of the names and sizes of all visible files below a folder, behind links too.

    Tells a job that pictures were added, removed or replaced by others of another size,
    at the price of a directory walk; touched files change nothing.
    """
    lines = sorted(_sizes(str(path), "", ()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _sizes(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:  # a link to a folder above itself
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                yield from _sizes(entry.path, f"{prefix}{entry.name}/", (*above, here))
            else:
                size = entry.stat().st_size if os.path.exists(entry.path) else -1
                yield f"{prefix}{entry.name}\t{size}\n"


@lru_cache(maxsize=64)
def count_pictures(folder: str) -> tuple[int, int]:
    """Visible files in the folders of a folder, and those folders; one of each where there are none."""
    if not os.path.isdir(folder):
        return 1, 1
    classes = [entry.path for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name)]
    files = sum(not is_hidden(name) for path in classes for _, _, names in os.walk(path) for name in names)
    return max(files, 1), max(len(classes), 1)
