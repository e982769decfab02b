"""Settings of scikit-learn's handwritten digits."""

from nctransfer.data.settings import DataSetSettings, SplitSettings


class DigitsSettings(SplitSettings):
    """scikit-learn's handwritten digits: 1,797 grey images of 8 x 8 pixels, bundled with it."""


SETTINGS: type[DataSetSettings] = DigitsSettings
