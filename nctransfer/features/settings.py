"""Settings of the forward pass that extracts the features of all units."""

from typing import Literal

from nctransfer.data.settings import Geometry
from nctransfer.settings import Count, Device, Natural, Precision, Settings

KeptUnits = Literal["all", "penultimate"]
Engine = Literal["torch", "openvino"]
OPENVINO_MISSING = (
    "features.engine: 'openvino' needs the package openvino, which is not installed; `pip install "
    "'nctransfer[openvino]'`, or set engine: torch"
)


class FeatureSettings(Settings):
    """The forward pass that extracts the features of all units."""

    batch_size: Count = 256
    """Images per batch; halved automatically when memory runs out."""
    precision: Precision = "float32"
    """Arithmetic of the forward pass; bfloat16 needs a GPU or a recent CPU, and names views (`.bf16`)."""
    engine: Engine = "torch"
    """What computes the forward pass: PyTorch, or OpenVINO on a CPU, which is faster, needs the package
    openvino and `device: cpu`, and names views (`.openvino`)."""
    fold_batch_norm: bool = False
    """Whether torch folds batch normalisation into convolutions, up to the borders of units, which saves time
    on a CPU and names views (`.folded`); OpenVINO always does."""
    channels_last: bool = True
    """Memory layout of convolutional inputs, for torch; faster on most devices."""
    units: KeptUnits = "all"
    """Which features are stored, probed and measured: those of all units, or only the penultimate feature."""
    dtype: Literal["float32", "float16"] = "float32"
    """Dtype of the stored features."""
    format: Literal["npy", "parquet"] = "npy"
    """File format of a feature store; the same class reads both."""

    @property
    def mode(self) -> str:
        """How the forward pass is computed, as keys of views say it: empty for the reference."""
        parts = {
            "openvino": self.engine == "openvino",
            "folded": self.fold_batch_norm,
            "bf16": self.precision == "bfloat16",
        }
        return ".".join(name for name, is_so in parts.items() if is_so)


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


class FeaturesShardJobSettings(FeaturesJobSettings):
    """Settings of a job that extracts features of a part of the images."""

    shard: Natural
    """Which part, from 0."""
    shards: Count
    """Number of parts."""

    def rows(self, images: int) -> range:
        """Rows of this part: whole batches, so that every batch is the same as without shards.

        It is empty where there are fewer batches than parts.
        """
        batches = -(-images // self.batch_size)
        first, end = (batches * part // self.shards for part in (self.shard, self.shard + 1))
        return range(min(first * self.batch_size, images), min(end * self.batch_size, images))


class FeaturesJoinedJobSettings(FeaturesJobSettings):
    """Settings of the job that joins the parts, and of what it joins."""

    shards: Count
    """Number of parts."""
