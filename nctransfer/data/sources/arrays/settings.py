"""Settings of ``.npz`` files."""

from nctransfer.data.settings import DataSetSettings, SplitSettings


class ArraysSettings(SplitSettings):
    """Arrays in `.npz` files: `images` (uint8), `labels`, optionally `class_names`."""

    path: str | None = None
    """One `.npz` file for both splits, with `test_fraction`."""
    train: str | None = None
    """The `.npz` file of the training split."""
    test: str | None = None
    """The `.npz` file of the test split."""


SETTINGS: type[DataSetSettings] = ArraysSettings
