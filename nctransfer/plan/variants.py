"""Variants: one module each, found by name.

A data source, an architecture family, a loss or a figure is a module in its
package; the folder is the registry. Nothing imports variants statically, so that a
job's digest covers only the variants that its settings name (see ``nctransfer.dag.digest``).
"""

import importlib
from pathlib import Path
from types import ModuleType

from nctransfer.errors import ConfigError
from nctransfer.suggestions import suggestion

ROOT = Path(__file__).resolve().parents[2]


def names(package: str) -> list[str]:
    """Names of the variants in a package (dotted, below the project's root), sorted."""
    folder = ROOT.joinpath(*package.split("."))
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def module_name(package: str, name: str) -> str:
    """Dotted name of a variant's module.

    Raises:
        ConfigError: there is no such variant.
    """
    known = names(package)
    if name not in known:
        kind = package.rpartition(".")[2]
        raise ConfigError(f"no {name!r} in {kind}{suggestion(name, known)}; there are: {', '.join(known)}")
    return f"{package}.{name}"


def load(package: str, name: str) -> ModuleType:
    """Import a variant.

    Raises:
        ConfigError: there is no such variant.
    """
    return importlib.import_module(module_name(package, name))
