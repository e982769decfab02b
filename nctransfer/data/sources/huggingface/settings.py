"""Settings of data sets on the Hugging Face hub."""

from typing import Annotated

from pydantic import Field

from nctransfer.data.settings import DataSetSettings, NamedSplitsSettings, ReadingSettings
from nctransfer.settings import Integer


class HuggingFaceSettings(NamedSplitsSettings, ReadingSettings):
    """A data set on the Hugging Face hub, or a folder or file in one of its formats."""

    name: str | None = None
    """Repository on the hub, `user/set`."""
    path: str | None = None
    """Local folder (Parquet files, images, WebDataset archives `<split>/*.tar`, or what `save_to_disk`
    wrote), or one Parquet file or archive."""
    config: str | None = None
    """Configuration of the repository, where it has several."""
    revision: str | None = None
    """Commit, tag or branch of the repository."""
    image_column: str | None = None
    """Column of images; `null` finds it by type or usual name."""
    label_column: str | None = None
    """Column of labels; `null` finds it by type or usual name."""
    label_bins: Annotated[Integer, Field(ge=2)] | None = None
    """Group labels 0 to n-1 into this number of classes of neighbouring values: label l becomes floor(l *
    label_bins / n); `null` uses the labels unchanged."""


SETTINGS: type[DataSetSettings] = HuggingFaceSettings
