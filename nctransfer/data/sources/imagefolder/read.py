"""A folder of the user: ``path/train/<class>/*.jpg`` and ``path/test/<class>/*.jpg``, or without splits."""

from pathlib import Path

import numpy as np

from nctransfer.data.class_names import plain
from nctransfer.data.folders import class_folders, list_classes
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.sources.imagefolder.settings import ImageFolderSettings
from nctransfer.data.subset import split_by_fraction
from nctransfer.errors import DataError


def open_split(options: ImageFolderSettings, split: str, root: Path) -> RawSplit:
    """Open a split (``root`` is unused); DataError: folders or images are missing, or classes differ."""
    assert options.path is not None  # checked with the configuration
    path = Path(options.path).expanduser()
    if not path.is_dir():
        raise DataError(f"{path}: no such folder (path of an imagefolder)")
    if options.test_fraction is None:
        return _with_splits(path, options, split)
    listing = list_classes(path)
    labels = np.array(listing.labels, np.int64)
    rows = split_by_fraction(labels, len(listing.class_names), options.test_fraction, options.split_seed or 0)
    return listing.rows(rows[split == "test"], options)


def _with_splits(path: Path, options: ImageFolderSettings, split: str) -> RawSplit:
    folders = {name: path / options.split_name(name) for name in ("train", "test")}
    missing = [folder for folder in folders.values() if not folder.is_dir()]
    if missing:
        names = ", ".join(class_folders(path)[:10])
        raise DataError(
            f"{missing[0]}: no such folder; {path} holds {names}. Name the folders of the splits "
            "by train_split and test_split or, for classes without splits, set a test_fraction such as 0.2"
        )
    classes = {name: set(map(plain, class_folders(folder))) for name, folder in folders.items()}
    if classes["train"] != classes["test"]:
        differences = [
            f"only in {folders[one]}: {', '.join(sorted(classes[one] - classes[other]))}"
            for one, other in (("train", "test"), ("test", "train"))
            if classes[one] - classes[other]
        ]
        raise DataError(f"{path}: the splits have different classes; {'; '.join(differences)}")
    return list_classes(folders[split]).rows(None, options)
