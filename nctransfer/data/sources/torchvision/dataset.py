"""Facts about torchvision's data sets for the plan."""

from collections.abc import Iterator
from dataclasses import replace

from nctransfer.data.dataset import DataSet, DataSetSize, Problem, known_sizes
from nctransfer.data.sources.torchvision.settings import TorchvisionSettings
from nctransfer.suggestions import suggestion

SETS = known_sizes("torchvision")


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
        size = SETS[self.entry.name]
        return size if self.entry.path is None else replace(size, download=0)

    def source_problems(self) -> Iterator[Problem]:
        """Unknown name, unknown classes, or ImageNet without a folder."""
        if self.entry.name is not None and self.entry.name not in SETS:
            close = f"{suggestion(self.entry.name, SETS)}; there are {', '.join(SETS)}"
            yield ("name",), f"no torchvision data set {self.entry.name!r}{close}"
        elif self.entry.name is not None:
            yield from self.class_problems(None, SETS[self.entry.name].classes)
            if self.entry.name == "ImageNet" and self.entry.path is None:
                yield (), "ImageNet cannot be downloaded; set the 'path' of the folder with train/ and val/"
            if self.entry.name == "ImageNet" and self.entry.test_fraction is not None:
                apart = "ImageNet has a folder for each split, and they are not joined; remove this key"
                yield ("test_fraction",), apart
        yield from self.folder_problems("path")


DATA_SET = TorchvisionDataSet
