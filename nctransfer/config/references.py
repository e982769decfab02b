"""Checks of names: keys of other entries, and variants. Every mistake is one line that names the key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from nctransfer import variants
from nctransfer.config.study import Study
from nctransfer.errors import ConfigError
from nctransfer.suggestions import suggestion


@dataclass(frozen=True)
class Named:
    """Names used in a configuration (``values``, as written), including those of entries with mistakes."""

    study: Study
    values: Mapping[str, Any]

    def keys(self, section: str) -> set[str]:
        """Keys of data sets or models."""
        entries = self.values.get(section)
        keys = set(map(str, entries)) if isinstance(entries, dict) else set()
        return keys | set(self.study.models if section == "models" else self.study.configuration.datasets)

    def listed(self, section: str) -> list[str]:
        """Keys to list in a message; snapshots and runs of sweeps are too many."""
        models = self.study.models
        return sorted(key for key in self.keys(section) if key not in models or not models[key].is_derived)

    def is_of_refused_family(self, key: str) -> bool:
        """Whether a key belongs to a member of a family with a mistake, which is reported only once."""
        entries = self.values.get("families", {})
        refused = set(entries) - set(self.study.configuration.families) if isinstance(entries, dict) else {""}
        return any(key.startswith(f"{family}-" if family else "") for family in map(str, refused))

    def check(self, where: str, name: str, section: str) -> Iterator[str]:
        """Refuse a key that does not exist; the message gives the closest one and all existing ones."""
        if section == "models" and self.is_of_refused_family(name):
            return
        if name not in self.keys(section):
            keys = self.listed(section)
            yield f"{where}: no {name!r} in {section}{suggestion(name, keys)}; there are: {', '.join(keys)}"


def check_variant(where: str, package: ModuleType, name: str) -> Iterator[str]:
    """Refuse a name that is no variant."""
    try:
        variants.module_name(package, name)
    except ConfigError as error:
        yield f"{where}: {error}"
