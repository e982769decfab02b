"""How many images a data set holds and how large they are, told before it is downloaded or decoded.

Only what a job asks a cluster for depends on it (``plan.resources``), no result does. Published sizes;
folders and ``.npz`` files are counted. Standard library only: the Snakefile reads this.
"""

import ast
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from nctransfer.plan.catalogue import SMALL_ON_HUB, TORCHVISION, is_hidden


@dataclass(frozen=True)
class SetSize:
    """Size of a data set, or of what is used of it.

    Attributes:
        train, test: number of images of each split.
        classes: number of classes.
        download: what is fetched for it, in MB.
        pixels: height and width where all images have one size and are stored so, else None.
    """

    train: int
    test: int
    classes: int
    download: int = 0
    pixels: tuple[int, int] | None = None

    @property
    def images(self) -> int:
        """Images of both splits."""
        return self.train + self.test


# Images as in the data sets' papers and in ``catalogue.TORCHVISION``, split as there; MB of the archives that
# torchvision downloads. Of ImageNet the user has the files.
PUBLISHED = {
    "CIFAR10": SetSize(50_000, 10_000, 10, 170),
    "CIFAR100": SetSize(50_000, 10_000, 100, 170),
    "FGVCAircraft": SetSize(6_667, 3_333, 100, 2_750),
    "DTD": SetSize(3_760, 1_880, 47, 625),
    "OxfordIIITPet": SetSize(3_680, 3_669, 37, 810),
    "Flowers102": SetSize(2_040, 6_149, 102, 345),
    "SUN397": SetSize(19_850, 19_850, 397, 37_000),
    "SVHN": SetSize(73_257, 26_032, 10, 250),
    "STL10": SetSize(5_000, 8_000, 10, 2_640),
    "EuroSAT": SetSize(21_600, 5_400, 10, 95),
    "Caltech101": SetSize(3_030, 5_647, 101, 140),
    "Food101": SetSize(75_750, 25_250, 101, 5_000),
    "ImageNet": SetSize(1_281_167, 50_000, 1_000),
}
HUB_DOWNLOAD = 10_000  # MB; not known, an assumption for every repository of the Hugging Face hub
# Splits of the VTAB sets (Zhai et al. 2019, training and validation joined) and of miniImageNet
# (Ravi & Larochelle 2017: 64 and 20 classes of 600 images).
ON_HUB = {
    "clip-benchmark/wds_vtab-resisc45": SetSize(25_200, 6_300, 45, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-diabetic_retinopathy": SetSize(46_032, 42_670, 5, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-clevr_count_all": SetSize(70_000, 15_000, 8, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-clevr_closest_object_distance": SetSize(70_000, 15_000, 6, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-dmlab": SetSize(88_178, 22_735, 6, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-dsprites_label_x_position": SetSize(663_552, 73_728, 16, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-dsprites_label_orientation": SetSize(663_552, 73_728, 16, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-smallnorb_label_azimuth": SetSize(36_450, 12_150, 18, HUB_DOWNLOAD),
    "clip-benchmark/wds_vtab-smallnorb_label_elevation": SetSize(36_450, 12_150, 9, HUB_DOWNLOAD),
    "GATE-engine/mini_imagenet:train": SetSize(38_400, 0, 64, HUB_DOWNLOAD),
    "GATE-engine/mini_imagenet:test": SetSize(12_000, 0, 20, HUB_DOWNLOAD),
}
DIGITS = SetSize(1_348, 449, 10, pixels=(8, 8))
# A data set of which nothing is known, as large as CIFAR-100.
UNKNOWN = SetSize(50_000, 10_000, 100, HUB_DOWNLOAD)


def used_size(entry: Mapping[str, Any]) -> SetSize:
    """What an entry of ``datasets:`` uses of its data set."""
    size, fraction = whole_size(entry), entry.get("test_fraction")
    if fraction is not None:
        test = round(size.images * fraction)
        size = replace(size, train=size.images - test, test=test)
    if entry.get("classes"):
        size = _of_classes(size, len(entry["classes"]))
    train, test = size.train, size.test
    if entry.get("count"):
        train = min(train, entry["count"])
    if entry.get("validation"):
        train, test = max(train - entry["validation"], 1), entry["validation"]
    if entry.get("per_class"):
        train = min(train, entry["per_class"] * size.classes)
    if entry.get("test_per_class"):
        test = min(test, entry["test_per_class"] * size.classes)
    return replace(size, train=train, test=test)


def _of_classes(size: SetSize, classes: int) -> SetSize:
    share = classes / size.classes
    return replace(size, train=round(size.train * share), test=round(size.test * share), classes=classes)


def class_count(entry: Mapping[str, Any]) -> int | None:
    """Number of classes of what an entry uses; None where only its images tell."""
    source, name = entry["source"], str(entry.get("name"))
    if entry.get("classes"):
        return len(entry["classes"])
    if source == "imagefolder":
        classes = used_size(entry).classes
        return classes if classes > 1 else None
    on_hub = name in ON_HUB or f"{name}:{entry.get('train_split')}" in ON_HUB
    return used_size(entry).classes if source in ("torchvision", "digits") or on_hub else None


def whole_size(entry: Mapping[str, Any]) -> SetSize:
    """All that an entry's data set holds, as it is split without ``test_fraction``."""
    source, name = entry["source"], str(entry.get("name"))
    if source == "torchvision":
        size = replace(PUBLISHED[name], pixels=TORCHVISION[name].size)
    elif source == "huggingface":
        part = f"{name}:{entry.get('train_split')}"
        known = ON_HUB.get(part) or ON_HUB.get(name) or _unknown(entry)
        size = replace(known, pixels=SMALL_ON_HUB.get(name))
    elif source == "imagefolder":
        return _folders(Path(entry["path"]).expanduser(), entry)
    elif source == "arrays":
        return _arrays(entry)
    else:
        return DIGITS
    return size if entry.get("path") is None else replace(size, download=0)


def _folders(root: Path, entry: Mapping[str, Any]) -> SetSize:
    if entry.get("test_fraction") is not None:
        images, classes = _count(str(root))
        return SetSize(images, 0, classes)
    (train, classes), (test, _) = (
        _count(str(root / str(entry.get(f"{split}_split") or split))) for split in ("train", "test")
    )
    return SetSize(train, test, classes)


@lru_cache(maxsize=64)
def _count(folder: str) -> tuple[int, int]:
    """Visible files in the folders of a folder, and those folders."""
    if not os.path.isdir(folder):
        return 1, 1
    classes = [entry.path for entry in os.scandir(folder) if entry.is_dir() and not is_hidden(entry.name)]
    files = sum(not is_hidden(name) for path in classes for _, _, found in os.walk(path) for name in found)
    return max(files, 1), max(len(classes), 1)


def _arrays(entry: Mapping[str, Any]) -> SetSize:
    shapes = [_shape(str(entry[key])) for key in ("train", "test", "path") if entry.get(key)]
    if None in shapes:
        return _unknown(entry)
    train, *others = (shape for shape in shapes if shape is not None)
    classes = _unknown(entry).classes  # the labels are not read
    return SetSize(train[0], others[0][0] if others else 0, classes, pixels=(train[1], train[2]))


def _unknown(entry: Mapping[str, Any]) -> SetSize:
    """A set of which nothing is known; where classes are chosen, as if they were all."""
    return replace(UNKNOWN, classes=len(entry.get("classes") or ()) or UNKNOWN.classes)


@lru_cache(maxsize=64)
def _shape(path: str) -> tuple[int, int, int] | None:
    """Shape (N, H, W) of the images of an ``.npz`` file, from the array's header; None without one."""
    try:
        with zipfile.ZipFile(Path(path).expanduser()) as archive, archive.open("images.npy") as file:
            header = file.read(1024)
            start = header.index(b"{")
            count, height, width, *_ = ast.literal_eval(
                header[start : header.index(b"}", start) + 1].decode("latin-1")
            )["shape"]
    except (OSError, KeyError, ValueError, SyntaxError, zipfile.BadZipFile):
        return None
    return int(count), int(height), int(width)
