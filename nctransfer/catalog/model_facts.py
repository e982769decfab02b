"""What the plan must know of a model before any library is imported.

Importing torch, torchvision and timm takes seconds, and every job of a cluster reads
the Snakefile again; so the facts come from the table of known models and the model's
entry in the configuration. The job that fetches the model checks them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nctransfer.catalog.known_models import KnownModel
from nctransfer.data.settings import Geometry
from nctransfer.errors import ConfigError

LIBRARIES = ("torchvision", "timm", "open_clip")
# What is stored of a model that names no poolings, as far as its units' outputs allow.
DEFAULT_POOLINGS = ("avg", "token_mean", "cls")


@dataclass(frozen=True)
class ModelFacts:
    """A model as the plan sees it: how it is built, cut, shown images and pooled.

    Attributes:
        source: where the weights come from.
        known: the network's row in the table.
        unit_layout: module of nctransfer/models/unit_layouts that cuts it into units.
        size: height and width that it is shown, in pixels.
        poolings: what features are stored; the first is shown where a figure asks for none.
        options: of its builder.
    """

    source: str
    known: KnownModel
    unit_layout: str
    size: tuple[int, int]
    poolings: tuple[str, ...]
    options: Mapping[str, Any]

    @property
    def library(self) -> str:
        """Module of nctransfer/models/architectures that builds the network."""
        return self.known.source

    @property
    def published(self) -> bool:
        """Whether a library publishes weights, and with them a transform of its own."""
        return self.known.source in LIBRARIES and self.source != "pretraining"

    def geometry(self, preprocess: str) -> Geometry:
        """How images are brought to the model's size, as ``paper`` or ``native``.

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
    """Derive a model's facts from what is known of its network and what a configuration says of it.

    Args:
        known: the network's row in the table.
        source: where the weights come from.
        unit_layout: how it is cut into units, None for as the table says.
        side: of the square that it is shown, in pixels; None for the weights' own.
        poolings: what is stored, None for the usual ones.
        options: of its builder.

    Raises:
        ConfigError: a pooling does not suit its units, or the unit layout is not the table's and
            no poolings are given.
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
        default = ()  # cut otherwise than the table says: the features job checks them
    else:
        raise ConfigError(
            f"poolings: missing; unit_layout {unit_layout!r} is not the usual {known.unit_layout!r}"
        )
    return ModelFacts(
        source, known, unit_layout or known.unit_layout, size, tuple(poolings or default), options
    )
