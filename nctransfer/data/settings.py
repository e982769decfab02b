"""What is done to images: which are used, and how they are brought to a model's size."""

from typing import Annotated, Any, Literal

from pydantic import Field

from nctransfer.settings import Count, Distinct, Integer, Natural, Settings

Side = Annotated[Integer, Field(ge=1)]  # in pixels
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Geometry(Settings):
    """How images are brought to a model's size."""

    resize: Side | tuple[Side, Side] | None = None
    """Length of the shorter side, or height and width whatever the shape, in pixels; `null` resizes
    nothing."""
    crop: Side | None = None
    """Side of the square that is cut out of the centre, in pixels; `null` cuts nothing."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How pixels are interpolated, with antialiasing."""
    rounding: Literal["each pass", "once"] = "each pass"
    """When pixels are rounded: after each pass over an axis, as PIL does, or once, as torchvision on
    tensors."""

    @property
    def key(self) -> str:
        """Its name in paths: ``224px`` (resized to a square) or ``native256c224bicubic``."""
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        if len(sides) == 2 and self.crop is None and self.interpolation == "bilinear":
            height, width = sides
            return f"{height}px" if height == width else f"{height}x{width}px"
        # pixels resized by other arithmetic are other contents: the key says so
        rounding = "-once" if self.rounding == "once" else ""
        return f"native{'x'.join(map(str, sides))}c{self.crop}{self.interpolation}{rounding}"


class SubsetSettings(Settings):
    """Which images of a data set are used."""

    classes: Distinct[Integer | str] | None = Field(default=None, min_length=2)
    """Keep these classes alone, by name or index, renumbered in this order; `null` keeps all."""
    per_class: Count | None = None
    """Balanced seeded subset of the training split, images per class; `null` keeps all."""
    test_per_class: Count | None = None
    """The same for the test split."""
    count: Count | None = None
    """Seeded subset of the training split: so many images whatever their class; excludes `per_class`.
    `null` keeps all."""
    validation: Count | None = None
    """Hyper-parameter selection: so many images of the training split (of its `count`, where there is one)
    are held out and tested on; the test split is not opened. `null` tests on the test split."""


class DataSetSettings(SubsetSettings):
    """A data set: where its images come from, and which are used."""

    source: str
    """Where the images come from; a variant of `nctransfer.data.sources`."""

    def options(self) -> dict[str, Any]:
        """What the source reads, plain values: keys of its own that the entry sets."""
        common = set(DataSetSettings.model_fields)
        values = self.model_dump(mode="json", exclude_defaults=True)
        return {key: value for key, value in values.items() if key not in common}


class SplitSettings(DataSetSettings):
    """A data set that may be split here."""

    test_fraction: Fraction | None = None
    """Share of each class held out for testing where the source has no split of its own; of torchvision's
    sets all images, official splits joined."""
    split_seed: Natural | None = None
    """Seed of a split that the source does not come with; `null` takes 0."""


class NamedSplitsSettings(SplitSettings):
    """A data set whose splits have names."""

    train_split: str | None = None
    """Name of the split, or folder, to train on; `null` takes `train`."""
    test_split: str | None = None
    """Name of the split, or folder, to test on; `null` takes `test`."""

    def split_name(self, split: str) -> str:
        """Name that the data set has for ``train`` or ``test``."""
        return (self.train_split if split == "train" else self.test_split) or split


class ImagesJobSettings(SubsetSettings):
    """What the job is told that decodes a data set."""

    source: str
    """Variant of `nctransfer.data.sources`."""
    options: dict[str, Any]
    """What the source reads, see its own settings."""
    geometry: Geometry | None
    """How images are stored; `null` stores them at the size that they have."""
    seed: int
    """Of the draw of a subset."""
