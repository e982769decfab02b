"""Facts about torchvision's data sets for the plan."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from nctransfer.data.dataset import DataSet, DataSetSize, Problem
from nctransfer.data.sources.torchvision.settings import TorchvisionSettings
from nctransfer.suggestions import suggestion


@dataclass(frozen=True)
class KnownSet:
    """A data set of torchvision."""

    # numbers of images from its paper, split as here; download size of torchvision's archives
    size: DataSetSize
    splits: str  # the usual split, also used here


def _known(
    train: int, test: int, classes: int, download: int, splits: str, side: int | None = None
) -> KnownSet:
    pixels = None if side is None else (side, side)
    return KnownSet(DataSetSize(train, test, classes, download, pixels), splits)


SETS = {
    "CIFAR10": _known(50_000, 10_000, 10, 170, "official train (50,000) / test (10,000)", 32),
    "CIFAR100": _known(50_000, 10_000, 100, 170, "official train (50,000) / test (10,000), fine labels", 32),
    "FGVCAircraft": _known(6_667, 3_333, 100, 2_750, "official trainval (6,667) / test (3,333), variants"),
    "DTD": _known(3_760, 1_880, 47, 625, "train + val (3,760) / test (1,880) of official split 1"),
    "OxfordIIITPet": _known(3_680, 3_669, 37, 810, "official trainval (3,680) / test (3,669), breeds"),
    "Flowers102": _known(2_040, 6_149, 102, 345, "official train + val (2,040) / test (6,149)"),
    "SUN397": _known(
        19_850, 19_850, 397, 37_000, "seeded: 50 / 50 images per class, sizes of the authors' partitions"
    ),
    "SVHN": _known(73_257, 26_032, 10, 250, "official train (73,257) / test (26,032)", 32),
    "STL10": _known(5_000, 8_000, 10, 2_640, "official train (5,000) / test (8,000)", 96),
    "EuroSAT": _known(21_600, 5_400, 10, 95, "seeded: 80 % / 20 % of each class", 64),
    "Caltech101": _known(
        3_030, 5_647, 101, 140, "seeded: 30 images per class / the rest, without the background class"
    ),
    "Food101": _known(75_750, 25_250, 101, 5_000, "official train (75,750) / test (25,250)"),
    "ImageNet": _known(1_281_167, 50_000, 1_000, 0, "train / val folders of the entry's path"),
}


class TorchvisionDataSet(DataSet[TorchvisionSettings]):
    """A data set of torchvision."""

    needed = ("name",)
    paths = ("path",)

    @property
    def common_name(self) -> str | None:
        """Name of torchvision's class."""
        return self.entry.name

    def whole_size(self) -> DataSetSize | None:
        """As published."""
        if self.entry.name not in SETS:
            return None
        size = SETS[self.entry.name].size
        return size if self.entry.path is None else replace(size, download=0)

    def source_problems(self) -> Iterator[Problem]:
        """Unknown name, unknown classes, or ImageNet without a folder."""
        if self.entry.name is not None and self.entry.name not in SETS:
            close = f"{suggestion(self.entry.name, SETS)}; there are {', '.join(SETS)}"
            yield ("name",), f"no torchvision data set {self.entry.name!r}{close}"
        elif self.entry.name is not None:
            yield from self.class_problems(None, SETS[self.entry.name].size.classes)
            if self.entry.name == "ImageNet" and self.entry.path is None:
                yield (), "ImageNet cannot be downloaded; set the 'path' of the folder with train/ and val/"
            if self.entry.name == "ImageNet" and self.entry.test_fraction is not None:
                apart = "ImageNet has a folder for each split, and they are not joined; remove this key"
                yield ("test_fraction",), apart
        yield from self.folder_problems("path")


DATA_SET = TorchvisionDataSet
