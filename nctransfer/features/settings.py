"""The pass that leaves every unit's features."""

from typing import Literal

from nctransfer.data.settings import Geometry
from nctransfer.settings import Count, Device, Precision, Settings

KeptUnits = Literal["all", "penultimate"]


class FeatureSettings(Settings):
    """The pass that leaves every unit's features."""

    batch_size: Count = 256
    """Images per batch; halved by itself when memory runs out."""
    precision: Precision = "float32"
    """Arithmetic of the forward pass; bfloat16 needs a GPU or a recent CPU."""
    channels_last: bool = True
    """Memory layout of convolutional inputs; faster on most devices."""
    units: KeptUnits = "all"
    """Whose features are kept, probed and measured: all units', or the penultimate feature alone."""
    dtype: Literal["float32", "float16"] = "float32"
    """Type in which features are stored."""
    format: Literal["npy", "parquet"] = "npy"
    """File format of a feature store; both are read by the same class."""


class FeaturesJobSettings(FeatureSettings):
    """What the job is told that extracts features."""

    geometry: Geometry
    """How images are brought to the model's size."""
    poolings: tuple[str, ...]
    """How a unit's output becomes one vector, an array each."""
    loader: Literal["stored", "tuned"]
    """Module of `nctransfer.models.loaders` that reads the model."""
    device: Device
    """Where to compute."""
