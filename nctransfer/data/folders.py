"""Folders of classes: ``root/<class>/.../<picture>``, as people really keep them.

Hidden files and folders (``.DS_Store``, ``.ipynb_checkpoints``, ``Thumbs.db``, ...) are
ignored and counted. Everything else in a class's folder must be a picture: files with
another suffix are reported, with the pictures that cannot be decoded, in one error.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nctransfer.data.decode import is_picture_name
from nctransfer.data.folder_contents import is_hidden
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.settings import DataSetSettings
from nctransfer.errors import DataError


@dataclass
class Listing:
    """What a folder of classes holds: pictures by class, in sorted order."""

    root: Path
    class_names: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # relative to root, with forward slashes
    labels: list[int] = field(default_factory=list)
    hidden: int = 0
    problems: list[str] = field(default_factory=list)

    def rows(self, rows: np.ndarray | None, options: DataSetSettings) -> RawSplit:
        """The split that some rows (None: all) make."""
        chosen = range(len(self.files)) if rows is None else rows.tolist()
        files = [self.root / self.files[row] for row in chosen]
        return RawSplit(
            labels=np.array([self.labels[row] for row in chosen], np.int64),
            class_names=tuple(self.class_names),
            provenance={"options": options.options(), "hidden_ignored": self.hidden},
            read=lambda row: files[row].read_bytes(),
            locate=lambda row: str(files[row]),
            problems=tuple(self.problems),
        )


def class_folders(root: Path) -> list[str]:
    """Names of the visible folders in root (links to folders too), sorted.

    Raises:
        DataError: root is no folder, cannot be read or holds no folder.
    """
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not is_hidden(entry.name))
    except OSError as error:
        raise DataError(f"{root}: cannot be read as a folder of classes ({error.strerror})") from None
    if not names:
        raise DataError(f"{root}: holds no folders; pictures are expected in {root}/<class>/")
    return names


def list_classes(root: Path) -> Listing:
    """List a folder of classes.

    Raises:
        DataError: root cannot be read, or classes are empty (all of them are named).
    """
    listing = Listing(root, class_folders(root))
    for entry in sorted(os.listdir(root)):
        if is_hidden(entry):
            listing.hidden += 1
        elif is_picture_name(entry) and (root / entry).is_file():
            listing.problems.append(f"{root / entry}: a picture beside the folders of classes has no class")
    empty = []
    for label, name in enumerate(listing.class_names):
        pictures = list(_pictures(listing, name, ()))
        listing.files += pictures
        listing.labels += [label] * len(pictures)
        if not pictures:
            empty.append(name)
    if empty:
        raise DataError(f"{root}: no pictures in the folders of classes {', '.join(map(repr, empty))}")
    return listing


def _pictures(listing: Listing, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    status = os.stat(listing.root / folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        listing.problems.append(f"{listing.root / folder}: a link to a folder above itself")
        return
    for name in sorted(os.listdir(listing.root / folder)):
        path = f"{folder}/{name}"
        if is_hidden(name):
            listing.hidden += 1
        elif os.path.isdir(listing.root / path):
            yield from _pictures(listing, path, (*above, here))
        elif is_picture_name(name):
            yield path
        else:
            listing.problems.append(f"{listing.root / path}: not a picture's name")
