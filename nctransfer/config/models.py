"""Entries of `models:` and `families:`, by the source of the weights."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Field

from nctransfer.catalog.known_models import KnownModel, lookup, lookup_architecture
from nctransfer.config.training import Head, Percentage, TrainingSettings
from nctransfer.features.settings import KeptUnits
from nctransfer.models.settings import Pooling
from nctransfer.settings import Count, Distinct, Integer, Key, Natural, Positive, Settings

Preprocess = Literal["paper", "native"]
Side = Annotated[Integer, Field(ge=4)]
LIBRARIES = ("torchvision", "timm", "open_clip")


class NetworkSettings(Settings):
    """How a network is cut into units, and what is kept of their outputs."""

    unit_layout: str | None = None
    """How the network is cut into units; a variant of `nctransfer.models.unit_layouts`. `null` takes the
    architecture's usual layout."""
    poolings: Distinct[Pooling] | None = None
    """How the output of a unit becomes one vector: avg (feature maps); cls, token_mean (class token included)
    or patch_mean (tokens). `null` takes [avg] for feature maps and [token_mean, cls] for tokens."""
    units: KeptUnits | None = None
    """Overrides the study's `features.units`."""


class ModelSettings(NetworkSettings):
    """One pre-trained model."""

    source: str
    """Source of the weights."""

    def side(self, dataset: str | None = None) -> int | None:
        """Side of the square input, if the entry sets it; that for a data set may be its own."""
        sizes: dict[str, int] = getattr(self, "sizes", {})
        return sizes.get(dataset or "", getattr(self, "size", None))

    @property
    def network(self) -> str:
        """Name of the network, of this project (``library/name``) or of the source."""
        return str(getattr(self, "architecture", getattr(self, "name", "")))

    @property
    def build_options(self) -> dict[str, Any]:
        """Options of the architecture's builder."""
        return getattr(self, "options", {})

    def chosen(self, fields: Collection[str]) -> dict[str, Any]:
        """Values of those of a job's fields that this entry has."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name in fields}
        return values | ({"options": self.build_options} if "options" in values else {})

    def known(self) -> KnownModel:
        """The network's row in the table of known models; ConfigError if the table has none."""
        return lookup_architecture(self.network)


class SizedSettings(ModelSettings):
    """A model whose input size may be chosen."""

    size: Side | None = None
    """Side of the square input, in pixels; `null` takes the size of the weights."""


class GivenSettings(SizedSettings):
    """A model whose weights exist already."""

    preprocess: Preprocess | None = None
    """Overrides the study's `preprocess` for this model."""
    source_accuracy: Percentage | None = None
    """Accuracy on the source data in percent, a baseline of rankings; `null` takes the one that torchvision
    publishes."""


class ImageSizeSettings(Settings):
    """Options of timm that adapt published weights to images of another size."""

    img_size: Side | None = None
    """Side of the square input, in pixels, to which the positions of the weights are interpolated once; it is
    also the default of `size`."""
    dynamic_img_size: bool = False
    """Whether the positions are interpolated in each forward pass, to images of any `size`."""


class LibraryModelSettings(GivenSettings):
    """A model with weights that a library publishes."""

    source: Literal["torchvision", "timm", "open_clip"]
    """The library."""
    name: str
    """Name in the library, such as `resnet34`."""
    weights: str | None = None
    """Weights: torchvision's enum member or open_clip's tag; `null` takes the library's default."""
    options: ImageSizeSettings = ImageSizeSettings()
    """Size of the images of a network of timm that takes one size only."""

    @property
    def build_options(self) -> dict[str, Any]:
        """Options of the library's function that builds the network."""
        return self.options.told()

    def known(self) -> KnownModel:
        """The network's row in the table of known models."""
        return lookup(self.source, self.name, self.weights)


class LocalModelSettings(GivenSettings):
    """A model with weights in a local file."""

    source: Literal["local"]
    """`local`."""
    architecture: str
    """Network of the weights, such as `timm/vit_tiny_patch16_224`."""
    weights: str
    """Path of the file."""
    weights_key: str | None = None
    """Where the weights are in the file, such as `state_dict_ema`; `null` takes those that match the network
    best, averaged ones first."""
    weights_prefix: str | None = None
    """Beginning of their names that is left out, such as `module.encoder_k.`; `null` takes what matches."""
    options: dict[str, Any] = {}
    """Options of the architecture, such as {width: 16}; with timm's `img_size`, weights of another image size
    are fitted to it."""
    mean: tuple[float, float, float] | None = None
    """Mean of the input per channel; `null` takes the architecture's own."""
    std: tuple[Positive, Positive, Positive] | None = None
    """Standard deviation of the input per channel; `null` takes the architecture's own."""
    head: bool = True
    """Whether the checkpoint has a usable classifier; set `false` for a backbone alone."""


class PretrainedModelSettings(SizedSettings):
    """A source model that is trained here."""

    source: Literal["pretraining"]
    """`pretraining`."""
    architecture: str
    """Network to train, such as `small/resnet18`."""
    dataset: str
    """Key of the source data set."""
    size: Side
    """Side of the square input, in pixels."""
    sizes: dict[Key, Side] = {}
    """Side for the images of single data sets, by their key, where it is not `size`; for networks that take
    images of any size."""
    options: dict[str, Any] = {}
    """Options of the architecture, such as {width: 16}."""
    training: TrainingSettings = TrainingSettings()
    """Overrides the study's `training` for this model."""


class MemberSettings(Settings):
    """Members that differ in augmentation level, adversarial level, projection head or seed."""

    augmentation: Distinct[Annotated[Integer, Field(ge=1, le=5)]] | None = None
    """Augmentation levels, one member each."""
    adversary: Distinct[Natural] | None = None
    """Adversarial levels, one member each."""
    heads: Distinct[Head] | None = None
    """Projection heads, one member each; the member `none` has the key of the group."""
    seeds: Distinct[Count] | None = None
    """Repetitions with random numbers of their own (first weights, order of the images), one member each."""
    training: TrainingSettings = TrainingSettings()
    """Overrides the family's `training` for these members."""


class FamilySettings(NetworkSettings):
    """One family of source models."""

    architecture: str
    """Network of all members, such as `small/resnet50`."""
    options: dict[str, Any] = {}
    """Options of the architecture, such as {width: 16}."""
    dataset: str
    """Key of the source data set."""
    size: Side
    """Side of the square input, in pixels."""
    sizes: dict[Key, Side] = {}
    """Side for the images of single data sets, by their key, where it is not `size`; for networks that take
    images of any size."""
    training: TrainingSettings = TrainingSettings()
    """Overrides the study's `training` for all members."""
    members: Annotated[dict[Key, MemberSettings], Field(min_length=1)]
    """Groups of members, by name."""
