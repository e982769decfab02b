"""Data sets of the Hugging Face hub, as the configuration tells of them."""

from typing import Annotated

from pydantic import Field

from nctransfer.data.settings import DataSetSettings, NamedSplitsSettings
from nctransfer.settings import Integer


class HuggingFaceSettings(NamedSplitsSettings):
    """A data set of the Hugging Face hub, or a folder or file in one of its formats."""

    name: str | None = None
    """Repository on the hub, `user/set`."""
    path: str | None = None
    """Local folder (Parquet files, images, WebDataset archives `<split>/*.tar`, or what `save_to_disk`
    wrote), or one Parquet file or archive."""
    config: str | None = None
    """Configuration of the repository, where there are several."""
    revision: str | None = None
    """Commit, tag or branch of the repository."""
    image_column: str | None = None
    """Column of images; `null` finds it by type or usual name."""
    label_column: str | None = None
    """Column of labels; `null` finds it by type or usual name."""
    label_bins: Annotated[Integer, Field(ge=2)] | None = None
    """Group labels 0 to n-1 into so many classes of neighbours: label l becomes floor(l * label_bins / n);
    `null` takes the labels as they are."""


SETTINGS: type[DataSetSettings] = HuggingFaceSettings
