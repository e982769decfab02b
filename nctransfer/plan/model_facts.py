"""What the plan must know of a model before any library is imported.

Importing torch, torchvision and timm takes seconds, and every job of a cluster reads
the Snakefile again; so the facts come from the table of known models and the model's
entry in the configuration. The job that fetches the model checks them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan.known_models import KnownModel, lookup, lookup_architecture

LIBRARIES = ("torchvision", "timm", "open_clip")
# What is stored of a model that names no poolings, as far as its units' outputs allow.
DEFAULT_POOLINGS = ("avg", "token_mean", "cls")


@dataclass(frozen=True)
class ModelFacts:
    """A model as the plan sees it: how it is built, cut, shown images and pooled.

    Attributes:
        known: the network's row in the table.
        family: module of nctransfer/models/families that cuts it into units.
        size: height and width that it is shown, in pixels.
        poolings: what features are stored; the first is shown where a figure asks for none.
    """

    known: KnownModel
    family: str
    size: tuple[int, int]
    poolings: tuple[str, ...]

    @property
    def library(self) -> str:
        """Module of nctransfer/models/architectures that builds the network."""
        return self.known.source

    @property
    def published(self) -> bool:
        """Whether a library publishes weights, and with them a transform of its own."""
        return self.known.source in LIBRARIES

    @property
    def paper(self) -> dict[str, Any]:
        """Geometry of ``preprocess: paper``: every image resized to the model's size."""
        return {"resize": list(self.size), "crop": None, "interpolation": "bilinear"}


def describe_model(entry: Mapping[str, Any]) -> ModelFacts:
    """Derive a model's facts from its completed entry in the configuration.

    Raises:
        ConfigError: the name, weights or architecture is not known, a pooling does not suit its
            units, or its library has no transform that ``preprocess: native`` could use.
    """
    if entry["source"] in LIBRARIES:
        known = lookup(entry["source"], entry["name"], entry["weights"])
    else:
        known = lookup_architecture(entry["architecture"])
    if entry["preprocess"] == "native":
        known.native()
    size = (entry["size"], entry["size"]) if entry["size"] else known.size
    if entry["family"] in (None, known.family):
        for pooling in entry["poolings"] or ():
            if pooling not in known.poolings:
                raise ConfigError(
                    f"poolings: {pooling!r} does not suit this network; allowed: {', '.join(known.poolings)}"
                )
        default = tuple(pooling for pooling in DEFAULT_POOLINGS if pooling in known.poolings)
    else:
        default = ("avg",)  # cut otherwise than the table says: the features job checks it
    return ModelFacts(known, entry["family"] or known.family, size, tuple(entry["poolings"] or default))
