"""Settings of folders of images."""

from nctransfer.data.settings import DataSetSettings, FilesSettings, NamedSplitsSettings


class ImageFolderSettings(NamedSplitsSettings, FilesSettings):
    """A folder of images: `train/<class>/*` and `test/<class>/*`, or `<class>/*` with `test_fraction`."""

    path: str | None = None
    """The folder."""


SETTINGS: type[DataSetSettings] = ImageFolderSettings
