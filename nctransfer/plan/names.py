"""Checks of names: keys that one part of a configuration says of another, and modules found by name.

Every mistake is one line that names the key.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import variants
from nctransfer.suggestions import suggestion


def of_refused_family(key: str, config: Mapping[str, Any], named: Mapping[str, Any]) -> bool:
    """Whether a key is that of a member of a family in which a mistake was found: it is told once."""
    entries = named.get("families", {})
    refused = set(entries) - set(config["families"]) if isinstance(entries, dict) else {""}
    return any(key.startswith(f"{family}-" if family else "") for family in map(str, refused))


def check_reference(where: str, name: str, section: str, config: Mapping[str, Any]) -> Iterator[str]:
    """Refuse a key that is not there; the closest one is named, and all that there are."""
    entries = config.get(section)
    if not isinstance(entries, dict):
        entries = {}
    if name not in map(str, entries):
        known = sorted(str(key) for key, entry in entries.items() if not _is_derived(entry))
        yield f"{where}: no {name!r} in {section}{suggestion(name, known)}; there are: {', '.join(known)}"


def _is_derived(entry: Any) -> bool:
    """Whether an entry is of a snapshot or of a run that a picture asks for: too many to list."""
    return isinstance(entry, dict) and ("snapshot_of" in entry or "run" in entry)


def check_variant(where: str, package: str, name: str) -> Iterator[str]:
    """Refuse a name of which there is no module."""
    try:
        variants.module_name(package, name)
    except ConfigError as error:
        yield f"{where}: {error}"
