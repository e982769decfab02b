"""Settings of the forward pass that extracts the features of all units."""

from typing import Literal

from nctransfer.data.settings import Geometry
from nctransfer.settings import Count, Device, Precision, Settings

KeptUnits = Literal["all", "penultimate"]


class FeatureSettings(Settings):
    """The forward pass that extracts the features of all units."""

    batch_size: Count = 256
    """Images per batch; halved automatically when memory runs out."""
    precision: Precision = "float32"
    """Arithmetic of the forward pass; bfloat16 needs a GPU or a recent CPU."""
    channels_last: bool = True
    """Memory layout of convolutional inputs; faster on most devices."""
    units: KeptUnits = "all"
    """Which features are stored, probed and measured: those of all units, or only the penultimate feature."""
    dtype: Literal["float32", "float16"] = "float32"
    """Dtype of the stored features."""
    format: Literal["npy", "parquet"] = "npy"
    """File format of a feature store; the same class reads both."""


class FeaturesJobSettings(FeatureSettings):
    """Settings of the job that extracts features."""

    geometry: Geometry
    """How images are brought to the input size of the model."""
    poolings: tuple[str, ...]
    """How the output of a unit is reduced to one vector; one array each."""
    loader: Literal["stored", "tuned"]
    """Module of `nctransfer.models.loaders` that reads the model."""
    device: Device
    """Device to compute on."""
