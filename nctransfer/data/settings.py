"""Which images are used, and how they are brought to the input size of a model."""

from typing import Annotated, Any, Literal

from pydantic import Field

from nctransfer.settings import Count, Distinct, Integer, Natural, Settings

Side = Annotated[Integer, Field(ge=1)]  # in pixels
Fraction = Annotated[float, Field(gt=0, lt=1)]

MAX_MEGAPIXELS = 50
# Measured peak of decoding, converting and resizing: 11 (GIF) to 28 (floats). The requested memory follows
# it, and no file may be larger.
BYTES_PER_PIXEL = 28


class Geometry(Settings):
    """How images are brought to the input size of a model."""

    resize: Side | tuple[Side, Side] | None = None
    """Length of the shorter side, or height and width (ignoring the aspect ratio), in pixels; `null` does not
    resize."""
    crop: Side | None = None
    """Side of the central square that is cut out, in pixels; `null` does not crop."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """Interpolation method, with antialiasing."""
    rounding: Literal["each pass", "once"] = "each pass"
    """When pixels are rounded: after the pass over each axis, as PIL does, or once, as torchvision does on
    tensors."""

    @property
    def key(self) -> str:
        """Name in paths: ``224px`` (resized to a square) or ``native256c224bicubic``."""
        sides = self.resize if isinstance(self.resize, tuple) else (self.resize,)
        if len(sides) == 2 and self.crop is None and self.interpolation == "bilinear":
            height, width = sides
            return f"{height}px" if height == width else f"{height}x{width}px"
        # other arithmetic gives other pixels, hence another key
        rounding = "-once" if self.rounding == "once" else ""
        return f"native{'x'.join(map(str, sides))}c{self.crop}{self.interpolation}{rounding}"


class SubsetSettings(Settings):
    """Which images of a data set are used."""

    classes: Distinct[Integer | str] | None = Field(default=None, min_length=2)
    """Use only these classes, by name or index, renumbered in this order; `null` uses all."""
    per_class: Count | None = None
    """Balanced seeded subset of the training split: number of images per class; `null` uses all."""
    test_per_class: Count | None = None
    """The same for the test split."""
    count: Count | None = None
    """Seeded subset of the training split: total number of images, whatever their class; excludes
    `per_class`. `null` uses all."""
    validation: Count | None = None
    """For hyper-parameter selection: this number of images of the training split (of its `count`, if set) is
    held out and replaces the test split, which is not opened. `null` tests on the test split."""


class ReadingSettings(Settings):
    """How image files are read; keys of the sources that have files."""

    on_error: Literal["stop", "skip"] = "stop"
    """What to do about files that cannot be used as images: `stop` with a list of all, or `skip` them; the
    list is then in the job's log and in the manifest of the images."""
    white_level: Annotated[float, Field(gt=0)] | None = None
    """Value of white in images of more than 8 bits, such as 4095 for 12 bits. `null` takes the largest
    value of the number of bits (8 or more) that holds all pixels of the data set; 1 for fractions."""
    max_megapixels: Count = MAX_MEGAPIXELS
    """Larger images are not decoded; the requested memory follows it."""


class FilesSettings(ReadingSettings):
    """How sources of image files are read and kept."""

    store: Literal["pixels", "stream"] = "pixels"
    """Whether decoded images are stored, or only the list of their files: with `stream`, every extraction of
    features decodes the files again, and nothing can be trained on them."""


class DataSetSettings(SubsetSettings):
    """A data set: the source of its images, and which of them are used."""

    source: str
    """Source of the images; a variant of `nctransfer.data.sources`."""
    shards: Count = 1
    """Number of jobs that extract the features of a model on these images, each of a part of the batches."""

    def options(self) -> dict[str, Any]:
        """Options of the source as plain values: the source's own keys that the entry sets."""
        common = set(DataSetSettings.model_fields)
        values = self.model_dump(mode="json", exclude_defaults=True)
        return {key: value for key, value in values.items() if key not in common}


class SplitSettings(DataSetSettings):
    """A data set that may be split by this program."""

    test_fraction: Fraction | None = None
    """Share of each class held out for testing, for sources without their own split; of torchvision's data
    sets, the official splits are joined first."""
    split_seed: Natural | None = None
    """Seed of a split that the source does not provide; `null` takes 0."""


class NamedSplitsSettings(SplitSettings):
    """A data set whose splits have names."""

    train_split: str | None = None
    """Name of the split, or folder, used for training; `null` takes `train`."""
    test_split: str | None = None
    """Name of the split, or folder, used for testing; `null` takes `test`."""

    def split_name(self, split: str) -> str:
        """The data set's name of ``train`` or ``test``."""
        return (self.train_split if split == "train" else self.test_split) or split


class ImagesJobSettings(SubsetSettings):
    """Settings of the job that decodes a data set."""

    source: str
    """Variant of `nctransfer.data.sources`."""
    options: dict[str, Any]
    """Options of the source, see its own settings."""
    geometry: Geometry | None
    """Geometry at which images are stored; `null` stores them at their own size."""
    seed: int
    """Seed of subsets."""
