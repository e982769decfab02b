"""Facts about a fine-tuning method for the plan and the figures; its module has the code."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from nctransfer import variants
from nctransfer.finetuning import methods
from nctransfer.settings import Settings


class MethodSettings(Settings):
    """Base of the settings of methods; a method with options derives its own in its module."""

    name: str
    """Variant of `nctransfer.finetuning.methods`."""
    units: tuple[int, ...] = ()
    """The tuned units, ascending from 1."""


@dataclass(frozen=True)
class Method:
    """Facts about a method."""

    title: str  # its name in words
    # its position in legends and tables, and index of its colour, from 0; None comes last
    place: int | None = None
    tunes_units: bool = True  # whether it tunes units that a run selects
    trains: bool = True  # whether it trains at all
    settings: type[MethodSettings] = MethodSettings  # class of its settings

    @property
    def options(self) -> frozenset[str]:
        """Options of ``finetuning:`` that only this method reads."""
        return frozenset(self.settings.model_fields) - frozenset(MethodSettings.model_fields)


def method_facts(name: str) -> Method:
    """``METHOD`` of a method's module; ConfigError if there is no such method, or none in it."""
    facts: Method = variants.load(methods, name, needs=["METHOD"]).METHOD
    return facts


def _by_method(values: Any) -> Any:
    is_plain = isinstance(values, dict) and "name" in values
    return method_facts(values["name"]).settings.read(values) if is_plain else values


AnyMethodSettings = Annotated[SerializeAsAny[MethodSettings], BeforeValidator(_by_method)]
