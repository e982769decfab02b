"""Names and numbers of the files in a user's folder; none is opened."""

import errno
import os
from functools import lru_cache

_HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "@eadir", "$recycle.bin"})


def is_hidden(name: str) -> bool:
    """Whether a file of this name was created by an operating system or editor, not by a person."""
    return name.startswith(".") or name.lower() in _HIDDEN


def entry_kind(entry: "os.DirEntry[str]") -> str:
    """``file`` or ``folder``, also behind a link; else what is wrong with it."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    except OSError as error:  # a loop of links, for example
        return str(error.strerror)
    return os.strerror(errno.ENOENT) if entry.is_symlink() else "not a regular file"


@lru_cache(maxsize=64)
def count_images(folder: str) -> tuple[int, int]:
    """Number of visible files in the class folders of a folder, and of class folders; at least 1 each."""
    if not os.path.isdir(folder):
        return 1, 1
    visible = [entry for entry in os.scandir(folder) if not is_hidden(entry.name)]
    classes = [entry.path for entry in visible if entry_kind(entry) == "folder"]
    files = sum(not is_hidden(name) for path in classes for _, _, names in os.walk(path) for name in names)
    return max(files, 1), max(len(classes), 1)
