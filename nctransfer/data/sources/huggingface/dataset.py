"""Facts about data sets on the Hugging Face hub for the plan."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nctransfer.data.dataset import DataSet, DataSetSize, Problem
from nctransfer.data.sources.huggingface.settings import HuggingFaceSettings

# Height and width in pixels of repositories whose images are small and of one size, so that they are stored
# unchanged.
SMALL = {
    "clip-benchmark/wds_vtab-dsprites_label_x_position": (64, 64),
    "clip-benchmark/wds_vtab-dsprites_label_orientation": (64, 64),
    "clip-benchmark/wds_vtab-smallnorb_label_azimuth": (96, 96),
    "clip-benchmark/wds_vtab-smallnorb_label_elevation": (96, 96),
}
DOWNLOAD = 10_000  # MB; the true size is unknown, this is assumed for every repository
# Splits of the VTAB sets (Zhai et al. 2019, training and validation joined) and of miniImageNet
# (Ravi & Larochelle 2017: 64 and 20 classes of 600 images), by repository or repository:split.
PUBLISHED = {
    "clip-benchmark/wds_vtab-resisc45": DataSetSize(25_200, 6_300, 45, DOWNLOAD),
    "clip-benchmark/wds_vtab-diabetic_retinopathy": DataSetSize(46_032, 42_670, 5, DOWNLOAD),
    "clip-benchmark/wds_vtab-clevr_count_all": DataSetSize(70_000, 15_000, 8, DOWNLOAD),
    "clip-benchmark/wds_vtab-clevr_closest_object_distance": DataSetSize(70_000, 15_000, 6, DOWNLOAD),
    "clip-benchmark/wds_vtab-dmlab": DataSetSize(88_178, 22_735, 6, DOWNLOAD),
    "clip-benchmark/wds_vtab-dsprites_label_x_position": DataSetSize(663_552, 73_728, 16, DOWNLOAD),
    "clip-benchmark/wds_vtab-dsprites_label_orientation": DataSetSize(663_552, 73_728, 16, DOWNLOAD),
    "clip-benchmark/wds_vtab-smallnorb_label_azimuth": DataSetSize(36_450, 12_150, 18, DOWNLOAD),
    "clip-benchmark/wds_vtab-smallnorb_label_elevation": DataSetSize(36_450, 12_150, 9, DOWNLOAD),
    "GATE-engine/mini_imagenet:train": DataSetSize(38_400, 0, 64, DOWNLOAD),
    "GATE-engine/mini_imagenet:test": DataSetSize(12_000, 0, 20, DOWNLOAD),
}


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
        download = published.download if self.entry.path is None else 0
        return replace(published, pixels=SMALL.get(name), download=download)

    def source_problems(self) -> Iterator[Problem]:
        """A path that does not exist."""
        if self.entry.path is not None and not Path(self.entry.path).expanduser().exists():
            yield ("path",), f"{self.entry.path!r} does not exist"


DATA_SET = HuggingFaceDataSet
