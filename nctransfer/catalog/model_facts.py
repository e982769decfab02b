"""What the plan must know of a model before any library is imported.

Importing torch, torchvision and timm takes seconds, and every cluster job reads the Snakefile again; so the
facts come from the table of known models and the model's entry in the configuration. The job that fetches the
model checks them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nctransfer.catalog.known_models import KnownModel
from nctransfer.data.settings import Geometry
from nctransfer.errors import ConfigError

LIBRARIES = ("torchvision", "timm", "open_clip")
# The option of a library's builders that says the side of the images, in pixels.
SIDE_OPTIONS = {
    "timm": "img_size",
    "torchvision": "image_size",
    "open_clip": "image_size",
    "small": "image_size",
}
# Poolings that are stored by default, as far as the units' outputs allow.
DEFAULT_POOLINGS = ("avg", "token_mean", "cls")


@dataclass(frozen=True)
class ModelFacts:
    """How a model is built, cut into units, shown images and pooled."""

    source: str  # source of the weights
    known: KnownModel  # the network's row in the table of known models
    unit_layout: str  # module of nctransfer/models/unit_layouts that cuts it into units
    size: tuple[int, int]  # height and width of its input, in pixels
    poolings: tuple[str, ...]  # poolings of the stored features; figures show the first by default
    options: Mapping[str, Any]  # options of its builder

    @property
    def library(self) -> str:
        """Module of nctransfer/models/architectures that builds the network."""
        return self.known.source

    @property
    def published(self) -> bool:
        """Whether a library publishes weights, and with them an image transform."""
        return self.known.source in LIBRARIES and self.source != "pretraining"

    def geometry(self, preprocess: str) -> Geometry:
        """How images are brought to the model's size, for ``preprocess`` ``paper`` or ``native``.

        Networks without published weights have no transform of their own.

        Raises:
            ConfigError: the library's transform cannot be expressed, or is for another size.
        """
        if preprocess == "paper" or not self.published:
            return Geometry(resize=self.size)
        if self.size != self.known.size:
            raise ConfigError(
                f"size: {self.size[0]} is not the {self.known.size[0]} of the library's own transform; "
                "leave it out, or set `preprocess: paper`"
            )
        return self.known.native()


def describe_model(
    known: KnownModel,
    source: str,
    unit_layout: str | None,
    side: int | None,
    poolings: Sequence[str] | None,
    options: Mapping[str, Any],
) -> ModelFacts:
    """Derive a model's facts from its row in the table and its entry in the configuration.

    Args:
        known: the network's row in the table of known models.
        source: source of the weights.
        unit_layout: how it is cut into units, None for the table's layout.
        side: side of its square input, in pixels; None for that of the options, or else of the weights.
        poolings: poolings to store, None for the default ones.
        options: options of its builder.

    Raises:
        ConfigError: the network does not take images of this size, a pooling does not suit its units, or the
            unit layout is not the table's and no poolings are set.
    """
    size = _size(known, source, side, options)
    if unit_layout in (None, known.unit_layout):
        for pooling in poolings or ():
            if pooling not in known.poolings:
                raise ConfigError(
                    f"poolings: {pooling!r} does not suit this network; allowed: {', '.join(known.poolings)}"
                )
        default = tuple(pooling for pooling in DEFAULT_POOLINGS if pooling in known.poolings)
    elif poolings:
        default = ()  # not the table's layout: the features job checks the poolings
    else:
        raise ConfigError(
            f"poolings: missing; unit_layout {unit_layout!r} is not the usual {known.unit_layout!r}"
        )
    return ModelFacts(
        source, known, unit_layout or known.unit_layout, size, tuple(poolings or default), options
    )


def _size(known: KnownModel, source: str, side: int | None, options: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of the input; ConfigError with the remedy where the network does not take them."""
    if options and source in LIBRARIES and source != "timm":
        raise ConfigError(f"options: the networks of {source} have none with its weights, those of timm have")
    built = options.get(SIDE_OPTIONS.get(known.source, "")) or known.size
    taken = (built, built) if isinstance(built, int) else tuple(built)
    size = (side, side) if side else taken
    if size == taken or not known.fixed_size or options.get("dynamic_img_size"):
        return size
    raise ConfigError(
        f"size: {known.source}/{known.name} takes images of {taken[0]} px only, not {side}; "
        f"{size_remedy(known.source, known.name, source, side)}"
    )


def size_remedy(library: str, name: str, source: str, side: int | None) -> str:
    """What to set where a network of ``library`` does not take images with this side."""
    if library == "timm" and source == "local":
        return (
            f"set `options: {{dynamic_img_size: true}}`, or `{{img_size: {side}}}` for weights of that size"
        )
    given = library in ("torchvision", "open_clip") and source == library
    if library not in SIDE_OPTIONS or given or name.startswith(("maxvit", "swin")):
        return "leave `size` out"
    return f"set `options: {{{SIDE_OPTIONS[library]}: {side}}}`"
