"""Facts about a data set that are known before any image is opened: size, names, mistakes in its entry.

Each source in ``nctransfer.data.sources`` derives its own class in its ``dataset.py``. This module imports
neither torch nor a data set library, because the Snakefile reads it. Jobs do not read it, so a change here
makes no job out of date.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from nctransfer import variants
from nctransfer.data import sources
from nctransfer.data.class_names import class_index
from nctransfer.data.contents import Contents
from nctransfer.data.settings import DataSetSettings, Geometry, ImagesJobSettings, SubsetSettings
from nctransfer.errors import DataError

Problem = tuple[tuple[str, ...], str]  # path of the key in the entry, and the message

# How each subset option is written into the keys of views and image stores.
_IN_KEY = {"per_class": "{}pc", "test_per_class": "test{}pc", "count": "{}n", "validation": "val{}"}


@dataclass(frozen=True)
class DataSetSize:
    """Size of a data set, or of the subset in use; only the resources that jobs ask for depend on it."""

    train: int  # train, test: number of images of each split
    test: int
    classes: int
    download: int = 0  # size of its download, in MB
    # height and width where all images are stored at one size, else None
    pixels: tuple[int, int] | None = None

    @property
    def images(self) -> int:
        """Images of both splits."""
        return self.train + self.test


# An unknown data set is taken to be large, because a job that asks for too little memory is killed.
UNKNOWN = DataSetSize(100_000, 50_000, 1_000, 20_000)
TABLE = Path(__file__).with_name("sizes.csv")
_NUMBERS = ("train", "test", "classes", "download")


def known_sizes(source: str) -> dict[str, DataSetSize]:
    """Sizes of a source's data sets by name, from ``sizes.csv``, which also says what their splits are.

    Those of torchvision are from the papers of the data sets, split as here, with torchvision's archives.
    Those of the hub, by repository or ``repository:split``, are of VTAB (Zhai et al. 2019, training and
    validation joined) and miniImageNet (Ravi & Larochelle 2017), with a download that is assumed.
    """
    sizes = {}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["source"] == source:
                train, test, classes, download = (int(row[key]) for key in _NUMBERS)
                pixels = (int(row["height"]), int(row["width"])) if row["height"] else None
                sizes[row["name"]] = DataSetSize(train, test, classes, download, pixels)
    return sizes


S = TypeVar("S", bound=DataSetSettings)


class DataSet(Generic[S]):
    """Facts about a data set that are known before any image is opened; each source derives its own class."""

    needed: ClassVar[tuple[str, ...]] = ()  # keys of which an entry must have exactly one
    paths: ClassVar[tuple[str, ...]] = ()  # keys that name files or folders of the user

    def __init__(self, entry: S) -> None:
        self.entry = entry

    # --- overridden by the sources -----------------------------------------------------------

    @property
    def common_name(self) -> str | None:
        """Usual name of the data set in the literature, where the entry tells it."""
        return None

    @property
    def has_fixed_size(self) -> bool:
        """Whether all images are known to have the same size, so that they can be stored unchanged."""
        size = self.whole_size()
        return size is not None and size.pixels is not None

    def whole_size(self) -> DataSetSize | None:
        """Size of the whole data set, without ``test_fraction``; None where it is unknown."""
        return None

    def class_count(self) -> int | None:
        """Number of classes in use; None where only the images tell."""
        if self.entry.classes:
            return len(self.entry.classes)
        size = self.whole_size()
        return None if size is None else size.classes

    def source_problems(self) -> Iterator[Problem]:
        """Find mistakes that the types do not catch; looks at the user's files and folders."""
        yield from ()

    # --- the same for every source -----------------------------------------------------------------

    def size(self) -> DataSetSize:
        """Size of the subset in use; an unknown data set is taken to be large."""
        size = self.whole_size() or replace(UNKNOWN, classes=len(self.entry.classes or ()) or UNKNOWN.classes)
        if fraction := getattr(self.entry, "test_fraction", None):
            test = round(size.images * fraction)
            size = replace(size, train=size.images - test, test=test)
        if self.entry.classes:
            share = len(self.entry.classes) / size.classes
            size = replace(
                size,
                train=round(size.train * share),
                test=round(size.test * share),
                classes=len(self.entry.classes),
            )
        train, test = size.train, size.test
        if self.entry.count:
            train = min(train, self.entry.count)
        if self.entry.validation:
            train, test = max(train - self.entry.validation, 1), self.entry.validation
        if self.entry.per_class:
            train = min(train, self.entry.per_class * size.classes)
        if self.entry.test_per_class:
            test = min(test, self.entry.test_per_class * size.classes)
        return replace(size, train=train, test=test)

    def key(self, dataset: str) -> str:
        """Name of the images in paths: ``cifar10``, ``cifar10.100pc``, ``vtab-dtd.1000n.val200``."""
        values = [(form, getattr(self.entry, key)) for key, form in _IN_KEY.items()]
        return ".".join([dataset, *(form.format(value) for form, value in values if value)])

    def draw_name(self, dataset: str) -> str:
        """Name from which the seed of the image draw follows.

        The same for all draws by ``count`` and ``validation`` of a study: hyper-parameters chosen with
        ``count: 1000, validation: 200`` are chosen on exactly the images of ``count: 1000``.
        """
        return "drawn" if self.entry.count or self.entry.validation else dataset

    def job_settings(self, geometry: Geometry | None, seed: int) -> ImagesJobSettings:
        """Settings of the job that decodes the images."""
        subset = {name: getattr(self.entry, name) for name in SubsetSettings.model_fields}
        return ImagesJobSettings(
            **subset, source=self.entry.source, options=self.entry.options(), geometry=geometry, seed=seed
        )

    def input_files(self) -> list[str]:
        """The user's files that make up the data set (not its folders); they are inputs of the rule."""
        return [str(path) for path in self._paths() if not path.is_dir()]

    def contents(self, known: Contents) -> str:
        """Digest of the contents of the user's files and folders that make up the data set."""
        return " ".join(map(known.digest, self._paths()))

    def _paths(self) -> list[Path]:
        paths = [getattr(self.entry, key) for key in self.paths]
        return [Path(path).expanduser() for path in paths if path is not None]

    def problems(self) -> Iterator[Problem]:
        """Find mistakes that the types do not catch: the path of the key and the message of each."""
        present = [key for key in self.needed if getattr(self.entry, key) is not None]
        choice = " or ".join(map(repr, self.needed))
        if self.needed and not present:
            yield (), f"source {self.entry.source} needs {choice}"
        if len(present) > 1:
            yield (present[1],), f"source {self.entry.source} takes {choice}, not both"
        yield from self._subset_problems()
        yield from self.source_problems()
        if getattr(self.entry, "store", "") == "stream" and self.has_fixed_size:
            yield (
                ("store",),
                "'stream' is for image files of any size, and these images are small: allowed is 'pixels'",
            )

    def _subset_problems(self) -> Iterator[Problem]:
        if self.entry.count and self.entry.per_class:
            yield ("count",), "excludes per_class: give a number of images either in total or per class"
        if self.entry.validation and self.entry.test_per_class:
            meaningless = "has no meaning beside validation, which leaves the test split untouched"
            yield ("test_per_class",), meaningless
        count, validation = self.entry.count, self.entry.validation
        if count and validation and validation >= count:
            none_left = f"{validation} of {count} images (count) leave none to train on"
            yield ("validation",), f"{none_left}; give fewer than {count}"

    def class_problems(self, names: list[str] | None, count: int) -> Iterator[Problem]:
        """Chosen classes that the data set does not have; ``names`` is None where they are unknown."""
        for index, name in enumerate(self.entry.classes or ()):
            where = ("classes", str(index))
            if names is None:
                if isinstance(name, int) and not 0 <= name < count:
                    yield where, f"no class of index {name}; there are {count}, from 0"
                continue
            try:
                class_index(name, names)
            except DataError as error:
                yield where, str(error)

    def folder_problems(self, key: str) -> Iterator[Problem]:
        """Report a key whose value is not an existing folder."""
        path = getattr(self.entry, key)
        if path is not None and not Path(path).expanduser().is_dir():
            yield (key,), f"{path!r} is not a folder"


def data_set(entry: DataSetSettings) -> DataSet[Any]:
    """The ``DATA_SET`` class of the entry's source, or the base class where it defines none."""
    kind: type[DataSet[Any]] = variants.optional(sources, entry.source, "dataset", "DATA_SET", DataSet)
    return kind(entry)
