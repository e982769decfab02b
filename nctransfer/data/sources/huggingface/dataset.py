"""Facts about data sets on the Hugging Face hub for the plan."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nctransfer.data.dataset import DataSet, DataSetSize, Problem, known_sizes
from nctransfer.data.sources.huggingface.settings import HuggingFaceSettings

PUBLISHED = known_sizes("huggingface")


class HuggingFaceDataSet(DataSet[HuggingFaceSettings]):
    """A data set on the Hugging Face hub, or a folder or file in one of its formats."""

    needed = ("name", "path")
    paths = ("path",)

    @property
    def common_name(self) -> str | None:
        """Name of the repository."""
        return self.entry.name

    def whole_size(self) -> DataSetSize | None:
        """As published, for the repositories in ``PUBLISHED``."""
        name, split = str(self.entry.name), self.entry.train_split
        published = PUBLISHED.get(f"{name}:{split}") or PUBLISHED.get(name)
        if published is None:
            return None
        return published if self.entry.path is None else replace(published, download=0)

    def source_problems(self) -> Iterator[Problem]:
        """A path that does not exist."""
        if self.entry.path is not None and not Path(self.entry.path).expanduser().exists():
            yield ("path",), f"{self.entry.path!r} does not exist"


DATA_SET = HuggingFaceDataSet
