"""Which network to build, without weights: a library, a name in it, and options."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from torch import nn

from nctransfer import variants
from nctransfer.data.settings import Geometry
from nctransfer.errors import ModelError
from nctransfer.models import architectures
from nctransfer.suggestions import suggestion

Options = Mapping[str, Any]
"""Keyword arguments of the library's function that builds a network."""


@dataclass(frozen=True)
class Metadata:
    """A library's description of a network and its weights."""

    # mean, std: of the pixels scaled to [0, 1]; None where only the person who trained it knows
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    size: tuple[int, int]  # height and width of the input
    # geometry of the library's evaluation transform, None where it cannot be expressed
    native: Geometry | None
    classes: int | None = None  # of the source classifier, None for the library's default
    class_names: tuple[str, ...] | None = None  # in the order of the logits, where the library has them
    options: Options = field(default_factory=dict)  # builder options that these weights need


@dataclass(frozen=True)
class Architecture:
    """A network to build: ``library/name``, the builder's options and the number of classes."""

    library: str
    name: str
    options: Options = field(default_factory=dict)
    classes: int | None = None

    @classmethod
    def parse(cls, text: str, options: Options | None = None, classes: int | None = None) -> "Architecture":
        """Read ``library/name``, for example ``torchvision/resnet34``; ModelError without a slash."""
        library, slash, name = str(text).partition("/")
        if not slash or not name:
            raise ModelError(
                f"architecture {text!r}: expected library/name, the library one of "
                f"{', '.join(variants.names(architectures))}"
            )
        return cls(library, name, dict(options or {}), classes)

    @classmethod
    def from_json(cls, contents: Mapping[str, Any]) -> "Architecture":
        """Inverse of :meth:`to_json`."""
        return cls(contents["library"], contents["name"], contents["options"], contents["classes"])

    def to_json(self) -> dict[str, Any]:
        """Plain values for :meth:`from_json`."""
        return {
            "library": self.library,
            "name": self.name,
            "options": dict(self.options),
            "classes": self.classes,
        }

    @property
    def module(self) -> ModuleType:
        """The module of this package for the library; imports no other library."""
        return variants.load(architectures, self.library, needs=["build", "metadata", "adapt"])

    def build(self) -> nn.Module:
        """The network with random weights, without any download; ModelError for an unknown name or option."""
        return self.module.build(self.name, self.options, self.classes)

    def metadata(self, weights: str | None = None) -> Metadata:
        """The library's description of the network with these weights (None: its default weights)."""
        return self.module.metadata(self.name, weights)


def with_defaults(network: str, options: Options, defaults: Options) -> dict[str, Any]:
    """Options with the ``defaults`` of those not set; ModelError (naming ``network``) for an unknown one."""
    for option in options:
        if option not in defaults:
            listed = ", ".join(defaults)
            raise ModelError(f"{network}: no option {option!r}{suggestion(option, defaults)}; {listed}")
    return {**defaults, **options}


def require_positive(network: str, options: Options, names: Iterable[str]) -> None:
    """Raise ModelError where one of the named options is not a positive integer."""
    for option in names:
        value = options[option]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"{network}: {option} {value!r} is not a positive whole number")
