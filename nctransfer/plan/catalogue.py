"""What is known of data sets before any is opened: kinds of source, their options, torchvision's sets.

A data set is a key of the config with a few lines::

    cifar10: {source: torchvision, name: CIFAR10}
    mine: {source: imagefolder, path: /data/mine}
    digits04: {source: digits, classes: ["0", "1", "2", "3", "4"], per_class: 100}

Standard library only: the Snakefile reads this.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nctransfer.plan import subsets
from nctransfer.plan.subsets import Problem
from nctransfer.suggestions import suggestion


@dataclass(frozen=True)
class KnownSet:
    """A data set of torchvision.

    Attributes:
        size: height and width of all its images, or None where they differ.
        classes: number of classes.
        splits: how the field, and we, split it.
    """

    size: tuple[int, int] | None
    classes: int
    splits: str


TORCHVISION: dict[str, KnownSet] = {
    "CIFAR10": KnownSet((32, 32), 10, "official train (50,000) / test (10,000)"),
    "CIFAR100": KnownSet((32, 32), 100, "official train (50,000) / test (10,000), fine labels"),
    "FGVCAircraft": KnownSet(None, 100, "official trainval (6,667) / test (3,333), variants"),
    "DTD": KnownSet(None, 47, "train + val (3,760) / test (1,880) of official split 1"),
    "OxfordIIITPet": KnownSet(None, 37, "official trainval (3,680) / test (3,669), breeds"),
    "Flowers102": KnownSet(None, 102, "official train + val (2,040) / test (6,149)"),
    "SUN397": KnownSet(None, 397, "seeded: 50 / 50 images a class, sizes of the authors' partitions"),
    "SVHN": KnownSet((32, 32), 10, "official train (73,257) / test (26,032)"),
    "STL10": KnownSet((96, 96), 10, "official train (5,000) / test (8,000)"),
    "EuroSAT": KnownSet((64, 64), 10, "seeded: 80 % / 20 % of each class"),
    "Caltech101": KnownSet(None, 101, "seeded: 30 images a class / the rest, without the background class"),
    "Food101": KnownSet(None, 101, "official train (75,750) / test (25,250)"),
    "ImageNet": KnownSet(None, 1000, "train / val folders of the entry's path"),
}

# Repositories of the Hugging Face hub whose images are small and have one size: they are kept as they are.
SMALL_ON_HUB = {
    "clip-benchmark/wds_vtab-dsprites_label_x_position": (64, 64),
    "clip-benchmark/wds_vtab-dsprites_label_orientation": (64, 64),
    "clip-benchmark/wds_vtab-smallnorb_label_azimuth": (96, 96),
    "clip-benchmark/wds_vtab-smallnorb_label_elevation": (96, 96),
}

# Keys that name files or folders of the user's.
PATH_KEYS = ("path", "train", "test")

_HIDDEN = frozenset({"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "@eadir", "$recycle.bin"})

COMMON = ("source", *subsets.OPTIONS)

_SPLITTING = ("train_split", "test_split", "test_fraction", "split_seed")

# Options of each kind of source: those one of which it needs, and all others.
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "torchvision": (("name",), ("path", "test_fraction", "split_seed")),
    "imagefolder": (("path",), _SPLITTING),
    "huggingface": (
        ("name", "path"),
        ("config", "revision", "image_column", "label_column", "label_bins", *_SPLITTING),
    ),
    "arrays": (("train", "path"), ("test", "test_fraction", "split_seed")),
    "digits": ((), ("test_fraction", "split_seed")),
}


def common_name(entry: Mapping[str, Any]) -> str | None:
    """What the field calls a data set, as far as its entry tells: torchvision's or the repository's name."""
    return "digits" if entry["source"] == "digits" else entry.get("name")


def option_names(source: str) -> tuple[str, ...]:
    """Keys that an entry of this kind of source may have besides those common to all."""
    needed, others = SOURCES[source]
    return (*needed, *others)


def has_fixed_size(entry: Mapping[str, Any]) -> bool:
    """Whether all images of a data set are known to have one size, so that they can be kept as they are."""
    if entry.get("source") == "torchvision":
        known = TORCHVISION.get(str(entry.get("name")))
        return known is not None and known.size is not None
    if entry.get("source") == "huggingface":
        return str(entry.get("name")) in SMALL_ON_HUB
    return entry.get("source") in ("arrays", "digits")


def image_settings(entry: Mapping[str, Any], geometry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings of the image stores of a data set's entry at one geometry, as plain JSON values."""
    options = {key: value for key, value in entry.items() if key not in COMMON and value is not None}
    return {
        "source": entry["source"],
        "options": options,
        **subsets.subset_settings(entry),
        "geometry": None if geometry is None else dict(geometry),
    }


def is_hidden(name: str) -> bool:
    """Whether systems and editors, not people, put files of this name among pictures."""
    return name.startswith(".") or name.lower() in _HIDDEN


def input_files(entry: Mapping[str, Any]) -> list[str]:
    """Files of the user that a data set is made of, where they are few: a rule's inputs."""
    paths = [Path(entry[key]).expanduser() for key in PATH_KEYS if entry.get(key) is not None]
    return [str(path) for path in paths if not path.is_dir()]


def input_folders(entry: Mapping[str, Any]) -> list[Path]:
    """Folders of the user that a data set is made of: their contents are digested."""
    paths = [Path(entry[key]).expanduser() for key in PATH_KEYS if entry.get(key) is not None]
    return [path for path in paths if path.is_dir()]


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


def validate_dataset(entry: Mapping[str, Any]) -> list[Problem]:
    """Find what a JSON schema cannot say about a data set's entry.

    Args:
        entry: one value of the config's ``datasets``.

    Returns:
        for each mistake the path of the key below the entry, and the message. Values of a
        wrong type are left to the schema.
    """
    source = entry.get("source")
    if not isinstance(source, str):
        return []
    if source not in SOURCES:
        return [(("source",), f"no source {source!r}{_close(source, SOURCES)}")]
    problems = [*_options(source, entry), *_numbers(entry), *subsets.subset_problems(entry)]
    problems += {
        "torchvision": _torchvision,
        "imagefolder": _imagefolder,
        "huggingface": _huggingface,
        "arrays": _arrays,
        "digits": _digits,
    }[source](entry)
    return problems


def _close(name: str, allowed: Any) -> str:
    return f"{suggestion(name, allowed)}; there are {', '.join(allowed)}"


def _options(source: str, entry: Mapping[str, Any]) -> Iterator[Problem]:
    needed, _ = SOURCES[source]
    allowed = (*option_names(source), *COMMON)
    for key in entry:
        if key not in allowed:
            yield (str(key),), f"source {source} has no key {str(key)!r}{_close(str(key), allowed)}"
    given = [key for key in needed if entry.get(key) is not None]
    if needed and not given:
        yield (), f"source {source} needs {' or '.join(map(repr, needed))}"
    if len(given) > 1:
        yield (given[1],), f"source {source} takes {' or '.join(map(repr, needed))}, not both"


def _numbers(entry: Mapping[str, Any]) -> Iterator[Problem]:
    fraction = entry.get("test_fraction")
    if isinstance(fraction, int | float) and not 0 < fraction < 1:
        yield ("test_fraction",), f"{fraction} is not between 0 and 1"
    bins = entry.get("label_bins")
    if isinstance(bins, int) and bins < 2:
        yield ("label_bins",), f"{bins} is not a number of classes; it must be at least 2"


def _class_names(entry: Mapping[str, Any], names: list[str] | None, count: int) -> Iterator[Problem]:
    classes = entry.get("classes")
    for index, name in enumerate(classes if isinstance(classes, list) else []):
        if isinstance(name, int) and not isinstance(name, bool) and not 0 <= name < count:
            yield ("classes", str(index)), f"no class of index {name}; there are {count}, from 0"
        if isinstance(name, str) and names is not None and name not in names:
            shown = names[:20] + (["..."] if len(names) > 20 else [])
            yield (
                ("classes", str(index)),
                f"no class {name!r}{suggestion(name, names)}; there are {', '.join(shown)}",
            )


def _torchvision(entry: Mapping[str, Any]) -> Iterator[Problem]:
    name = entry.get("name")
    if isinstance(name, str) and name not in TORCHVISION:
        yield ("name",), f"no torchvision data set {name!r}{_close(name, TORCHVISION)}"
    elif isinstance(name, str):
        yield from _class_names(entry, None, TORCHVISION[name].classes)
        if name == "ImageNet" and entry.get("path") is None:
            yield (), "ImageNet cannot be downloaded; give the 'path' of the folder with train/ and val/"
        if name == "ImageNet" and entry.get("test_fraction") is not None:
            yield ("test_fraction",), "ImageNet has folders of its splits, which are not joined; leave it out"
    yield from _folder(entry, "path")


def _folder(entry: Mapping[str, Any], key: str) -> Iterator[Problem]:
    path = entry.get(key)
    if isinstance(path, str) and not Path(path).expanduser().is_dir():
        yield (key,), f"{path!r} is no folder"


def _imagefolder(entry: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _folder(entry, "path")
    path = entry.get("path")
    if not isinstance(path, str) or not Path(path).expanduser().is_dir():
        return
    root = Path(path).expanduser()
    folders = [root]
    if entry.get("test_fraction") is None:
        folders = [root / str(entry.get(f"{split}_split", split)) for split in ("train", "test")]
        for folder in folders:
            if not folder.is_dir():
                yield (
                    ("path",),
                    f"{str(folder)!r} is no folder; name the splits by train_split and test_split, or, for "
                    "folders of classes without splits, give a test_fraction such as 0.2",
                )
    else:
        for key in ("train_split", "test_split"):
            if entry.get(key) is not None:
                yield (key,), "a folder is either split by test_fraction or has folders of splits"
    if all(folder.is_dir() for folder in folders):
        yield from _class_folders(entry, folders)


def _class_folders(entry: Mapping[str, Any], folders: list[Path]) -> Iterator[Problem]:
    names = [
        {item.name for item in folder.iterdir() if item.is_dir() and not is_hidden(item.name)}
        for folder in folders
    ]
    for folder, here in zip(folders, names, strict=True):
        if not here:
            yield ("path",), f"{str(folder)!r} holds no folders of classes"
        for other in names:
            if other and here - other:
                yield ("path",), f"only {str(folder)!r} has the classes {', '.join(sorted(here - other))}"
    if names[0]:
        yield from _class_names(entry, sorted(names[0]), len(names[0]))


def _huggingface(entry: Mapping[str, Any]) -> Iterator[Problem]:
    path = entry.get("path")
    if isinstance(path, str) and not Path(path).expanduser().exists():
        yield ("path",), f"{path!r} does not exist"


def _arrays(entry: Mapping[str, Any]) -> Iterator[Problem]:
    for key in ("train", "test", "path"):
        path = entry.get(key)
        if isinstance(path, str) and not Path(path).expanduser().is_file():
            yield (key,), f"{path!r} is no file"
    if entry.get("train") is not None and entry.get("test") is None:
        yield (), "source arrays needs 'test' beside 'train'; or one file as 'path', with a 'test_fraction'"
    if entry.get("path") is not None and entry.get("test_fraction") is None:
        yield (), "source arrays with one file as 'path' needs a 'test_fraction'"


def _digits(entry: Mapping[str, Any]) -> Iterator[Problem]:
    yield from _class_names(entry, [str(digit) for digit in range(10)], 10)
