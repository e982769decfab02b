"""Which network to build, before any weights: a library, a name in it, and options."""

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
"""Keyword arguments of a network's builder, as its library takes them."""


@dataclass(frozen=True)
class Metadata:
    """What a library says about a network and its weights.

    Attributes:
        mean, std: of the pixels scaled to [0, 1]; None where only the trainer knows.
        size: height and width of the input.
        native: geometry of the library's evaluation transform, None where it cannot be expressed.
        classes: of the source classifier, None where the library's default holds.
        class_names: in the order of the logits, where the library has them.
        options: of the builder, as these weights need them.
    """

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    size: tuple[int, int]
    native: Geometry | None
    classes: int | None = None
    class_names: tuple[str, ...] | None = None
    options: Options = field(default_factory=dict)


@dataclass(frozen=True)
class Architecture:
    """A network to build: ``library/name``, the builder's options and the number of classes."""

    library: str
    name: str
    options: Options = field(default_factory=dict)
    classes: int | None = None

    @classmethod
    def parse(cls, text: str, options: Options | None = None, classes: int | None = None) -> "Architecture":
        """Read ``library/name``, for example ``torchvision/resnet34`` or ``small/resnet18``.

        Raises:
            ModelError: there is no slash in it.
        """
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
        """Plain values from which :meth:`from_json` makes an equal architecture."""
        return {
            "library": self.library,
            "name": self.name,
            "options": dict(self.options),
            "classes": self.classes,
        }

    @property
    def module(self) -> ModuleType:
        """The library's module here; imports that library and no other."""
        return variants.load(architectures, self.library)

    def build(self) -> nn.Module:
        """The network with random weights; nothing is downloaded.

        Raises:
            ModelError: the library has no such network or refuses the options.
        """
        return self.module.build(self.name, self.options, self.classes)

    def metadata(self, weights: str | None = None) -> Metadata:
        """What the library says about the network with these weights (its default ones for None)."""
        return self.module.metadata(self.name, weights)


def with_defaults(network: str, options: Options, defaults: Options) -> dict[str, Any]:
    """Options of a network's builder, those that are not given by their defaults.

    Args:
        network: ``library/name``, for messages.
        options: as given.
        defaults: of every option that there is.

    Raises:
        ModelError: no such option.
    """
    for option in options:
        if option not in defaults:
            listed = ", ".join(defaults)
            raise ModelError(f"{network}: no option {option!r}{suggestion(option, defaults)}; {listed}")
    return {**defaults, **options}


def require_positive(network: str, options: Options, names: Iterable[str]) -> None:
    """Refuse options that count something and are no positive whole number.

    Raises:
        ModelError: one is not.
    """
    for option in names:
        value = options[option]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ModelError(f"{network}: {option} {value!r} is not a positive whole number")
