"""A folder of one's own: ``path/train/<class>/*.jpg`` and ``path/test/<class>/*.jpg``.

Options:
    path: the folder.
    train_split, test_split: names of the two folders in it (``train`` and ``test``).
    test_fraction: for ``path/<class>/*.jpg`` without splits: the share of each class to
        test on, drawn with ``split_seed`` (0).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nctransfer.data.folders import class_folders, list_classes
from nctransfer.data.raw import RawSplit
from nctransfer.data.subset import split_by_fraction
from nctransfer.errors import DataError


def open_split(options: Mapping[str, Any], split: str, root: Path) -> RawSplit:
    """Open one split of a folder of classes.

    Args:
        options: see the module.
        split: ``"train"`` or ``"test"``.
        root: not used: nothing is downloaded.

    Raises:
        DataError: a folder is missing, a class is empty, or the splits' classes differ.
    """
    path = Path(options["path"]).expanduser()
    if not path.is_dir():
        raise DataError(f"{path}: no such folder (path of an imagefolder)")
    provenance = {"options": dict(options)}
    if options.get("test_fraction") is None:
        return _with_splits(path, options, split, provenance)
    listing = list_classes(path)
    labels = np.array(listing.labels, np.int64)
    rows = split_by_fraction(
        labels, len(listing.class_names), options["test_fraction"], options.get("split_seed", 0)
    )
    return listing.rows(rows[split == "test"], provenance)


def _with_splits(path: Path, options: Mapping[str, Any], split: str, provenance: dict[str, Any]) -> RawSplit:
    folders = {name: path / options.get(f"{name}_split", name) for name in ("train", "test")}
    missing = [folder for folder in folders.values() if not folder.is_dir()]
    if missing:
        there = ", ".join(class_folders(path)[:10])
        raise DataError(
            f"{missing[0]}: no such folder; {path} holds {there}. Name the splits' folders by train_split "
            "and test_split or, where there are only folders of classes, give a test_fraction such as 0.2"
        )
    classes = {name: set(class_folders(folder)) for name, folder in folders.items()}
    if classes["train"] != classes["test"]:
        differences = [
            f"only in {folders[here]}: {', '.join(sorted(classes[here] - classes[there]))}"
            for here, there in (("train", "test"), ("test", "train"))
            if classes[here] - classes[there]
        ]
        raise DataError(f"{path}: the splits have different classes; {'; '.join(differences)}")
    return list_classes(folders[split]).rows(None, provenance)
