"""Settings of torchvision's data sets."""

from nctransfer.data.settings import DataSetSettings, FilesSettings, SplitSettings


class TorchvisionSettings(SplitSettings, FilesSettings):
    """A data set of torchvision."""

    name: str | None = None
    """Name of torchvision's class."""
    path: str | None = None
    """Folder that already holds the data set in torchvision's layout; nothing is downloaded then. ImageNet
    needs it: `<path>/train/<wnid>/` and `<path>/val/<wnid>/`."""


SETTINGS: type[DataSetSettings] = TorchvisionSettings
