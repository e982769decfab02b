"""A fine-tuning method as the plan and the figures know it; what it does stands in its module."""

from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from nctransfer import variants
from nctransfer.finetuning import methods
from nctransfer.settings import Settings


class MethodSettings(Settings):
    """Base of what methods are told; a method with options derives its own in its module."""

    name: str
    """Variant of `nctransfer.finetuning.methods`."""
    units: tuple[int, ...] = ()
    """The tuned units, from 1, ascending."""


@dataclass(frozen=True)
class Method:
    """Facts about a method.

    Attributes:
        title: its name in words.
        place: in legends and tables, and of its colour, from 0; None comes after those that have one.
        tunes_units: whether it tunes units that a run names.
        trains: whether it trains at all.
        settings: what it is told.
    """

    title: str
    place: int | None = None
    tunes_units: bool = True
    trains: bool = True
    settings: type[MethodSettings] = MethodSettings

    @property
    def options(self) -> frozenset[str]:
        """Options of ``finetuning:`` that this method alone reads."""
        return frozenset(self.settings.model_fields) - frozenset(MethodSettings.model_fields)


def method_facts(name: str) -> Method:
    """Facts about a method, ``METHOD`` of its module.

    Raises:
        ConfigError: there is no such method.
    """
    module: ModuleType = variants.load(methods, name)
    facts: Method = getattr(module, "METHOD", None) or Method(title=name)
    return facts


def _by_method(values: Any) -> Any:
    if isinstance(values, MethodSettings) or not isinstance(values, dict) or "name" not in values:
        return values
    return method_facts(values["name"]).settings.read(values)


AnyMethodSettings = Annotated[SerializeAsAny[MethodSettings], BeforeValidator(_by_method)]
