"""Variants: one module or folder each, found by name.

A data source, a loss, a fine-tuning method or a figure is a module, or a folder of modules, in its package;
the package is the registry. Nothing imports variants statically, so that a job's digest covers only the
variants that its settings name (``nctransfer.dag.digest``). A folder keeps apart what the plan must know of
a variant (``settings.py``, no torch) from the code that computes.
"""

import importlib.util
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from nctransfer.errors import ConfigError
from nctransfer.settings import Settings
from nctransfer.suggestions import suggestion

T = TypeVar("T")


def names(package: ModuleType) -> list[str]:
    """Names of the variants in a package, sorted."""
    return sorted(_are_folders(package))


@cache
def _are_folders(package: ModuleType) -> dict[str, bool]:
    """Whether each variant of a package is a folder."""
    entries = [entry for folder in package.__path__ for entry in Path(folder).iterdir()]
    folders = {entry.name for entry in entries if entry.is_dir() and any(entry.glob("*.py"))}
    modules = {entry.stem for entry in entries if entry.suffix == ".py"}
    return {name: name in folders for name in folders | modules if not name.startswith(("_", "."))}


def module_name(package: ModuleType, name: str, part: str = "") -> str:
    """Dotted name of a variant's module, or of the one that holds all parts; ConfigError if there is none."""
    are_folders = _are_folders(package)
    if name not in are_folders:
        kind = package.__name__.rpartition(".")[2]
        known = names(package)
        raise ConfigError(f"no {name!r} in {kind}{suggestion(name, known)}; there are: {', '.join(known)}")
    dotted = f"{package.__name__}.{name}"
    return f"{dotted}.{part}" if part and are_folders[name] else dotted


def load(package: ModuleType, name: str, part: str = "", needs: Iterable[str] = ()) -> ModuleType:
    """Import a variant, or a part of it, that must define ``needs``; ConfigError if anything is missing."""
    dotted = module_name(package, name, part)
    try:
        module = importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name != dotted:
            raise
        file = Path(next(iter(package.__path__)), name, f"{part or '__init__'}.py")
        raise ConfigError(f"{file}: missing; it must define {', '.join(needs)}") from None
    if missing := [attribute for attribute in needs if not hasattr(module, attribute)]:
        raise ConfigError(f"{module.__file__}: must define {', '.join(missing)}")
    return module


def optional(package: ModuleType, name: str, part: str, attribute: str, usual: T) -> T:
    """What a variant says of itself by an attribute of a module that its folder may leave out.

    ``usual`` holds where a folder has no such module, or one module for all says nothing.

    Raises:
        ConfigError: there is no such variant, or the module is there and does not define it.
    """
    dotted = module_name(package, name, part)
    is_folder = dotted.endswith(f".{name}.{part}")
    if is_folder and importlib.util.find_spec(dotted) is None:
        return usual
    module = load(package, name, part, [attribute] if is_folder else ())
    # getattr could read any setting, for all that a digest sees
    value: T = module.__dict__.get(attribute, usual)
    return value


def settings_class(package: ModuleType, name: str, base: type[Settings]) -> type[Settings]:
    """The class of a variant's settings, or the base; ConfigError: no variant, or no ``SETTINGS``."""
    return optional(package, name, "settings", "SETTINGS", base)


def settings_reader(package: ModuleType, key: str, base: type[Settings]) -> Callable[[Any], Any]:
    """A validator that reads values by the class of the variant under ``key``; ``base`` if it has none."""

    def read(values: Any) -> Any:
        if isinstance(values, base) or not isinstance(values, dict) or key not in values:
            return values
        return settings_class(package, values[key], base).read(values)

    return read
