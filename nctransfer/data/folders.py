"""Folders of classes, ``root/<class>/.../<image>``.

Hidden files and folders (``.DS_Store``, ``.ipynb_checkpoints``, ``Thumbs.db``, ...) are ignored and counted.
Everything else in a class folder must be an image: files with another suffix are reported in one error,
together with the images that cannot be decoded.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nctransfer.data.class_names import plain
from nctransfer.data.decode import is_image_name, read_file
from nctransfer.data.folder_contents import entry_kind, is_hidden
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.sources.imagefolder.settings import ImageFolderSettings
from nctransfer.errors import DataError


@dataclass
class Listing:
    """Contents of a folder of classes: image files by class, in sorted order."""

    root: Path
    class_names: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)  # relative to root, with forward slashes
    labels: list[int] = field(default_factory=list)
    hidden: int = 0
    problems: list[str] = field(default_factory=list)

    def rows(self, rows: np.ndarray | None, options: ImageFolderSettings) -> RawSplit:
        """The split made of some rows (None: all)."""
        indices = range(len(self.files)) if rows is None else rows.tolist()
        files = [self.root / self.files[row] for row in indices]
        return RawSplit(
            labels=np.array([self.labels[row] for row in indices], np.int64),
            class_names=tuple(self.class_names),
            provenance={"options": options.options(), "hidden_ignored": self.hidden},
            read=lambda row: read_file(files[row], options.max_megapixels),
            locate=lambda row: str(files[row]),
            problems=tuple(self.problems),
        )


def class_folders(root: Path) -> list[str]:
    """Sorted visible folders in root, links too; DataError: root is no readable folder, or holds none."""
    try:
        with os.scandir(root) as entries:
            folders = [entry.name for entry in entries if entry_kind(entry) == "folder"]
    except OSError as error:
        raise DataError(f"{root}: cannot be read as a folder of classes ({error.strerror})") from None
    names = sorted((name for name in folders if not is_hidden(name)), key=plain)
    if not names:
        raise DataError(f"{root}: holds no folders; images are expected in {root}/<class>/")
    return names


def list_classes(root: Path) -> Listing:
    """List a folder of classes; DataError if it cannot be read or has empty classes (all are named)."""
    listing = Listing(root, class_folders(root))
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        kind = entry_kind(entry)
        if is_hidden(entry.name):
            listing.hidden += 1
        elif kind not in ("file", "folder"):
            listing.problems.append(f"{root / entry.name}: {kind}")
        elif kind == "file" and is_image_name(entry.name):
            listing.problems.append(f"{root / entry.name}: an image outside the class folders has no class")
    empty = []
    for label, name in enumerate(listing.class_names):
        images = list(_images(listing, name, ()))
        listing.files += images
        listing.labels += [label] * len(images)
        if not images:
            empty.append(name)
    if empty:
        raise DataError(f"{root}: no images in the class folders {', '.join(map(repr, empty))}")
    return listing


def _images(listing: Listing, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    status = os.stat(listing.root / folder)
    inode = (status.st_dev, status.st_ino)
    if inode in above:
        listing.problems.append(f"{listing.root / folder}: a link to one of its parent folders")
        return
    try:
        entries = sorted(os.scandir(listing.root / folder), key=lambda entry: entry.name)
    except OSError as error:
        listing.problems.append(f"{listing.root / folder}: cannot be read ({error.strerror})")
        return
    for entry in entries:
        path = f"{folder}/{entry.name}"
        kind = entry_kind(entry)
        if is_hidden(entry.name):
            listing.hidden += 1
        elif kind == "folder":
            yield from _images(listing, path, (*above, inode))
        elif kind != "file":
            listing.problems.append(f"{listing.root / path}: {kind}")
        elif is_image_name(entry.name):
            yield path
        else:
            listing.problems.append(f"{listing.root / path}: not the name of an image")
