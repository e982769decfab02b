"""torchvision's data sets with their usual splits.

Three loaders have no splits, so images are drawn: SUN397 has 50 images per class for training and 50 others
for testing, like the authors' partitions; Caltech101 has 30 per class for training and the rest for testing;
EuroSAT has 80 % of each class for training.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlparse

import numpy as np
from torchvision import datasets

from nctransfer.data.decode import read_file
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.sources.imagefolder import read as imagefolder
from nctransfer.data.sources.imagefolder.settings import ImageFolderSettings
from nctransfer.data.sources.torchvision.settings import TorchvisionSettings
from nctransfer.data.subset import split_by_count, split_by_fraction
from nctransfer.data.torchvision_downloads import Archive, downloaded
from nctransfer.errors import DataError
from nctransfer.suggestions import suggestion


@dataclass(frozen=True)
class _Part:
    """Contents of one torchvision data set object: an array of images, or their files."""

    labels: np.ndarray
    class_names: tuple[str, ...]
    images: np.ndarray | None
    files: np.ndarray | None


@dataclass(frozen=True)
class _Set:
    """How the splits of a data set are composed of those of torchvision's class of the same name."""

    # train, test: keyword arguments of the objects that are joined to a split
    train: Sequence[Mapping[str, Any]]
    test: Sequence[Mapping[str, Any]]
    read: Callable[[Any], _Part]  # extracts labels, names and images from one object
    archives: Callable[[Any], list[Archive]]  # files that the class downloads
    # (labels, class names, seed) to rows of (train, test), where torchvision has no splits; both splits then
    # join the same objects
    draw: Callable[[np.ndarray, Sequence[str], int], tuple[np.ndarray, np.ndarray]] | None = None


def open_split(options: TorchvisionSettings, split: str, root: Path) -> RawSplit:
    """Open a split, downloaded into ``root`` if need be; DataError if that or the opening fails."""
    name = options.name
    if name == "ImageNet":
        if options.path is None:
            raise DataError("ImageNet: cannot be downloaded; set the path of the folder with train/ and val/")
        folders = ImageFolderSettings(
            source="imagefolder", path=options.path, test_split="val", max_megapixels=options.max_megapixels
        )
        return imagefolder.open_split(folders, split, root)
    if name not in SETS:
        names = [*SETS, "ImageNet"]
        raise DataError(
            f"no torchvision data set {name!r}{suggestion(str(name), names)}; there are {', '.join(names)}"
        )
    entry = SETS[name]
    loader: Any = getattr(datasets, name)
    archives = entry.archives(loader)
    provenance: dict[str, Any] = {"options": options.options()}
    if options.path is not None:
        folder = Path(options.path).expanduser()
    else:
        folder = downloaded(name, archives, partial(_fetch, entry, loader), root)
        provenance["archives"] = [{"name": archive.name, "md5": archive.md5} for archive in archives]
    draw, objects = entry.draw, entry.train if split == "train" else entry.test
    if options.test_fraction is not None:
        objects = entry.train if draw is not None else (*entry.train, *entry.test)
        draw = partial(_by_fraction, options.test_fraction)
    part = _open(name, entry, loader, objects, folder)
    if draw is None:
        return _raw(part, folder, options, provenance, None)
    rows = draw(part.labels, part.class_names, options.split_seed or 0)
    return _raw(part, folder, options, provenance, rows[split == "test"])


def _fetch(entry: _Set, loader: Any, folder: Path) -> None:
    for keywords in (*entry.train, *entry.test):
        loader(folder, download=True, **keywords)


def _open(name: str, entry: _Set, loader: Any, objects: Sequence[Mapping[str, Any]], folder: Path) -> _Part:
    try:
        parts = [entry.read(loader(folder, **keywords)) for keywords in objects]
    except Exception as error:
        raise DataError(
            f"{folder}: torchvision cannot open {name} there: {type(error).__name__}: {error}"
        ) from error
    return parts[0] if len(parts) == 1 else _joined(name, parts)


def _joined(name: str, parts: Sequence[_Part]) -> _Part:
    if len({part.class_names for part in parts}) > 1:
        raise DataError(f"{name}: the official splits have different classes")
    files = [part.files for part in parts if part.files is not None]
    images = [part.images for part in parts if part.images is not None]
    return _Part(
        np.concatenate([part.labels for part in parts]),
        parts[0].class_names,
        np.concatenate(images) if images else None,
        np.concatenate(files) if files else None,
    )


def _raw(
    part: _Part, folder: Path, options: TorchvisionSettings, provenance: Any, rows: np.ndarray | None
) -> RawSplit:
    indices = np.arange(len(part.labels)) if rows is None else rows
    if part.images is not None:
        images = part.images if rows is None else part.images[rows]
        locate = lambda row: f"{folder}, image {indices[row]}"  # noqa: E731
        return RawSplit(part.labels[indices], part.class_names, provenance, images, locate=locate)
    assert part.files is not None
    files = part.files[indices]
    return RawSplit(
        part.labels[indices],
        part.class_names,
        provenance,
        read=lambda row: read_file(Path(files[row]), options.max_megapixels),
        locate=lambda row: str(files[row]),
    )


# --- contents of torchvision's objects ---------------------------------------------------


def _array(images: Any, labels: Any, names: Sequence[str]) -> _Part:
    images = np.asarray(images)
    if images.shape[1] == 3 and images.shape[-1] != 3:
        images = images.transpose(0, 2, 3, 1)
    return _Part(np.asarray(labels, np.int64), tuple(names), images, None)


def _files(files: Sequence[Any], labels: Any, names: Sequence[str]) -> _Part:
    return _Part(np.asarray(labels, np.int64), tuple(names), None, np.array([str(file) for file in files]))


def _cifar(opened: Any) -> _Part:
    return _array(opened.data, opened.targets, opened.classes)


def _svhn(opened: Any) -> _Part:
    return _array(opened.data, opened.labels, [str(digit) for digit in range(10)])


def _stl10(opened: Any) -> _Part:
    return _array(opened.data, opened.labels, opened.classes)


def _listed(opened: Any) -> _Part:
    return _files(opened._image_files, opened._labels, opened.classes)


def _sorted(opened: Any) -> _Part:
    # SUN397's loader lists files in the order of the file system.
    order = np.argsort([str(file) for file in opened._image_files], kind="stable")
    part = _listed(opened)
    assert part.files is not None
    return _Part(part.labels[order], part.class_names, None, part.files[order])


def _pet(opened: Any) -> _Part:
    return _files(opened._images, opened._labels, opened.classes)


def _flowers(opened: Any) -> _Part:
    # Older torchvision has no names for the 102 categories.
    names = getattr(opened, "classes", None) or [str(number) for number in range(1, 103)]
    return _files(opened._image_files, opened._labels, names)


def _eurosat(opened: Any) -> _Part:
    files, labels = zip(*opened.samples, strict=True)
    return _files(files, labels, opened.classes)


def _caltech(opened: Any) -> _Part:
    folder = Path(opened.root) / "101_ObjectCategories"
    files = [
        folder / opened.categories[label] / f"image_{number:04d}.jpg"
        for number, label in zip(opened.index, opened.y, strict=True)
    ]
    return _files(files, opened.y, opened.categories)


# --- downloads of torchvision's classes ------------------------------------------------


def _archive(url: str, md5: str | None, folder: str = "", is_data: bool = False) -> Archive:
    return Archive(str(PurePosixPath(folder, PurePosixPath(urlparse(url).path).name)), url, md5, is_data)


def _own_archive(loader: Any, folder: str = "") -> list[Archive]:
    return [_archive(loader._URL, loader._MD5, folder)]


def _pet_archives(loader: Any) -> list[Archive]:
    return [_archive(url, md5, "oxford-iiit-pet") for url, md5 in loader._RESOURCES]


def _flowers_archives(loader: Any) -> list[Archive]:
    prefix, files = loader._download_url_prefix, loader._file_dict
    return [
        _archive(prefix + file, md5, "flowers-102", is_data=part != "image")
        for part, (file, md5) in files.items()
    ]


def _svhn_archives(loader: Any) -> list[Archive]:
    files = (loader.split_list[split] for split in ("train", "test"))
    return [Archive(name, url, md5, is_data=True) for url, name, md5 in files]


# torchvision has these two addresses inside its methods; here they are needed only for messages and for
# archives that were downloaded by hand.
_EUROSAT = _archive(
    "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
    "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
    "c8fa014336c82ac7804f0398fcb19387",
    "eurosat",
)
_CALTECH101 = _archive(
    "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
    "3138e1922a9193bfa496528edbbc45d0",
    "caltech101",
)


def _by_fraction(
    share: float, labels: np.ndarray, names: Sequence[str], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    return split_by_fraction(labels, len(names), share, seed)


def _of_split(*splits: str) -> list[dict[str, str]]:
    return [{"split": split} for split in splits]


def _cifar_archives(loader: Any) -> list[Archive]:
    return [Archive(loader.filename, loader.url, loader.tgz_md5)]


_TRAIN, _TEST = [{"train": True}], [{"train": False}]
_WHOLE: list[dict[str, Any]] = [{}]
SETS: dict[str, _Set] = {
    "CIFAR10": _Set(_TRAIN, _TEST, _cifar, _cifar_archives),
    "CIFAR100": _Set(_TRAIN, _TEST, _cifar, _cifar_archives),
    "FGVCAircraft": _Set(
        _of_split("trainval"), _of_split("test"), _listed, lambda loader: [_archive(loader._URL, None)]
    ),
    "DTD": _Set(_of_split("train", "val"), _of_split("test"), _listed, partial(_own_archive, folder="dtd")),
    "OxfordIIITPet": _Set(_of_split("trainval"), _of_split("test"), _pet, _pet_archives),
    "Flowers102": _Set(_of_split("train", "val"), _of_split("test"), _flowers, _flowers_archives),
    "SUN397": _Set(
        _WHOLE, _WHOLE, _sorted, lambda loader: [_archive(loader._DATASET_URL, loader._DATASET_MD5)],
        lambda labels, names, seed: split_by_count(labels, names, 50, 50, seed),
    ),
    "SVHN": _Set(_of_split("train"), _of_split("test"), _svhn, _svhn_archives),
    "STL10": _Set(_of_split("train"), _of_split("test"), _stl10, _cifar_archives),
    "EuroSAT": _Set(_WHOLE, _WHOLE, _eurosat, lambda loader: [_EUROSAT], partial(_by_fraction, 0.2)),
    "Caltech101": _Set(
        _WHOLE, _WHOLE, _caltech, lambda loader: [_CALTECH101],
        lambda labels, names, seed: split_by_count(labels, names, 30, None, seed),
    ),
    "Food101": _Set(_of_split("train"), _of_split("test"), _listed, _own_archive),
}  # fmt: skip
