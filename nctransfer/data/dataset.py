"""What is known of a data set before any image is opened: its size, its names, mistakes in its entry.

Each source of ``nctransfer.data.sources`` derives its own class in ``dataset.py`` of its folder. No torch and
no library of data sets: the Snakefile reads this. Jobs do not: what is told here makes none of them stale.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from nctransfer import variants
from nctransfer.data import sources
from nctransfer.data.dataset_size import UNKNOWN, DataSetSize
from nctransfer.data.folder_contents import folder_digest
from nctransfer.data.settings import DataSetSettings, Geometry, ImagesJobSettings, SubsetSettings
from nctransfer.suggestions import suggestion

Problem = tuple[tuple[str, ...], str]

# How each choice of images is written into the keys of views and image stores.
_IN_KEY = {"per_class": "{}pc", "test_per_class": "test{}pc", "count": "{}n", "validation": "val{}"}


S = TypeVar("S", bound=DataSetSettings)


class DataSet(Generic[S]):
    """What is known of a data set before any image is opened; each source derives its own.

    Attributes:
        needed: keys of which an entry needs one, and takes one alone.
        paths: keys that name files or folders of the user's.

    Args:
        entry: what the configuration says of it.
    """

    needed: ClassVar[tuple[str, ...]] = ()
    paths: ClassVar[tuple[str, ...]] = ()

    def __init__(self, entry: S) -> None:
        self.entry = entry

    # --- what a source says of its data sets ----------------------------------------------------

    @property
    def common_name(self) -> str | None:
        """What the field calls the data set, as far as the entry tells."""
        return None

    @property
    def has_fixed_size(self) -> bool:
        """Whether all images are known to have one size, so that they can be kept as they are."""
        return False

    def whole_size(self) -> DataSetSize | None:
        """All that the data set holds, as it is split without ``test_fraction``; None where nobody knows."""
        return None

    def class_count(self) -> int | None:
        """Number of classes of what is used; None where only the images tell."""
        if self.entry.classes:
            return len(self.entry.classes)
        size = self.whole_size()
        return None if size is None else size.classes

    def source_problems(self) -> Iterator[Problem]:
        """Find mistakes that types do not tell; files and folders of the user's are looked at."""
        yield from ()

    # --- what holds for every source ---------------------------------------------------------------

    def size(self) -> DataSetSize:
        """Size of what is used; of a data set that is not known a large one."""
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
        """Name of the images in paths: ``cifar10``, ``cifar10.100pc``, ``vtab-dtd.1000n.val200``.

        Args:
            dataset: key of the data set.
        """
        chosen = [
            form.format(getattr(self.entry, key)) for key, form in _IN_KEY.items() if getattr(self.entry, key)
        ]
        return ".".join([dataset, *chosen])

    def draw_name(self, dataset: str) -> str:
        """Name of the draw of the images, from which its seed follows.

        Draws by ``count`` and ``validation`` are alike for all entries of a study: two entries of one source,
        one of them with ``validation``, share their images, so that hyper-parameters chosen on ``count: 1000,
        validation: 200`` are chosen on the very images of ``count: 1000``.
        """
        return "drawn" if self.entry.count or self.entry.validation else dataset

    def job_settings(self, geometry: Geometry | None, seed: int) -> ImagesJobSettings:
        """What the job is told that decodes the images."""
        subset = {name: getattr(self.entry, name) for name in SubsetSettings.model_fields}
        return ImagesJobSettings(
            **subset, source=self.entry.source, options=self.entry.options(), geometry=geometry, seed=seed
        )

    def input_files(self) -> list[str]:
        """Files of the user's that the data set is made of, where they are few: a rule's inputs."""
        return [str(path) for path in self._paths() if not path.is_dir()]

    def folder_digests(self) -> str:
        """Digest of the folders of the user's that the data set is made of."""
        return "".join(folder_digest(path) for path in self._paths() if path.is_dir())

    def _paths(self) -> list[Path]:
        named = [getattr(self.entry, key) for key in self.paths]
        return [Path(path).expanduser() for path in named if path is not None]

    def problems(self) -> Iterator[Problem]:
        """Find mistakes that types do not tell: of each the path of its key and the message."""
        given = [key for key in self.needed if getattr(self.entry, key) is not None]
        choice = " or ".join(map(repr, self.needed))
        if self.needed and not given:
            yield (), f"source {self.entry.source} needs {choice}"
        if len(given) > 1:
            yield (given[1],), f"source {self.entry.source} takes {choice}, not both"
        yield from self._subset_problems()
        yield from self.source_problems()

    def _subset_problems(self) -> Iterator[Problem]:
        if self.entry.count and self.entry.per_class:
            yield (
                ("count",),
                "excludes per_class: either so many images of all classes, or so many of each",
            )
        if self.entry.validation and self.entry.test_per_class:
            yield (
                ("test_per_class",),
                "has no meaning beside validation, which leaves the test split untouched",
            )
        count, validation = self.entry.count, self.entry.validation
        if count and validation and validation >= count:
            yield (
                ("validation",),
                f"{validation} of {count} images (count) leave none to train on; give less than {count}",
            )

    def class_problems(self, names: list[str] | None, count: int) -> Iterator[Problem]:
        """Classes that the data set does not have.

        Args:
            names: of its classes; None where they are not known.
            count: their number.
        """
        for index, name in enumerate(self.entry.classes or ()):
            where = ("classes", str(index))
            if isinstance(name, int) and not 0 <= name < count:
                yield where, f"no class of index {name}; there are {count}, from 0"
            if isinstance(name, str) and names is not None and name not in names:
                shown = names[:20] + (["..."] if len(names) > 20 else [])
                yield where, f"no class {name!r}{suggestion(name, names)}; there are {', '.join(shown)}"

    def folder_problems(self, key: str) -> Iterator[Problem]:
        """A key that names no folder."""
        path = getattr(self.entry, key)
        if path is not None and not Path(path).expanduser().is_dir():
            yield (key,), f"{path!r} is no folder"


def data_set(entry: DataSetSettings) -> DataSet[Any]:
    """What is known of a data set: ``DATA_SET`` of its source, or of a source that says nothing the usual."""
    module = variants.load(sources, entry.source, "dataset")
    known: type[DataSet[Any]] = getattr(module, "DATA_SET", DataSet)
    return known(entry)
