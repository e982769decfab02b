"""torchvision's data sets, as the configuration tells of them."""

from nctransfer.data.settings import DataSetSettings, SplitSettings


class TorchvisionSettings(SplitSettings):
    """A data set of torchvision."""

    name: str | None = None
    """torchvision's class."""
    path: str | None = None
    """Folder that already holds the set as torchvision lays it out; nothing is downloaded then. ImageNet
    needs it: `<path>/train/<wnid>/` and `<path>/val/<wnid>/`."""


SETTINGS: type[DataSetSettings] = TorchvisionSettings
