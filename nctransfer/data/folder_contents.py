"""Names and sizes of the files below a user's folder; no image is opened."""

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "@eadir", "$recycle.bin"})


def is_hidden(name: str) -> bool:
    """Whether a file of this name was created by an operating system or editor, not by a person."""
    return name.startswith(".") or name.lower() in _HIDDEN


def folder_digest(path: Path) -> str:
    """Digest of the names and sizes of all visible files below a folder, links followed.

    It changes when images are added, removed or replaced by others of another size, not when files are only
    touched; it costs one walk through the folder.
    """
    lines = sorted(_sizes(str(path), "", ()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _sizes(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    status = os.stat(folder)
    inode = (status.st_dev, status.st_ino)
    if inode in above:  # a link to a folder above itself
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                yield from _sizes(entry.path, f"{prefix}{entry.name}/", (*above, inode))
            else:
                size = entry.stat().st_size if os.path.exists(entry.path) else -1
                yield f"{prefix}{entry.name}\t{size}\n"


@lru_cache(maxsize=64)
def count_images(folder: str) -> tuple[int, int]:
    """Number of visible files in the class folders of a folder, and of class folders; at least 1 each."""
    if not os.path.isdir(folder):
        return 1, 1
    classes = [entry.path for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name)]
    files = sum(not is_hidden(name) for path in classes for _, _, names in os.walk(path) for name in names)
    return max(files, 1), max(len(classes), 1)
