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
        side: side of its square input, in pixels; None for that of the weights.
        poolings: poolings to store, None for the default ones.
        options: options of its builder.

    Raises:
        ConfigError: a pooling does not suit its units, or the unit layout is not the table's and
            no poolings are set.
    """
    size = (side, side) if side else known.size
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
