"""Names that changed: the old ones keep working for one release, with a note that says the new one."""

from collections.abc import Mapping
from typing import Any

# Kinds of figures and tables: the new kind, and what else the entry says.
_KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "layerwise_diagram": ("diagram", {"layout": "layerwise"}),
    "tuning_diagram": ("diagram", {"layout": "tuning"}),
    "candidates_diagram": ("diagram", {"layout": "candidates"}),
}


def with_new_names(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A configuration with new names in place of old ones, and a note for each.

    Args:
        given: as it was written.
    """
    renewed, notes = dict(given), []
    for section in ("figures", "tables"):
        entries = given.get(section)
        if not isinstance(entries, dict):
            continue
        renewed[section] = dict(entries)
        for key, entry in entries.items():
            kind = entry.get("kind") if isinstance(entry, dict) else None
            if isinstance(kind, str) and kind in _KINDS:
                new, further = _KINDS[kind]
                renewed[section][key] = {**entry, **further, "kind": new}
                said = ", ".join(f"{name}: {value}" for name, value in {"kind": new, **further}.items())
                notes.append(
                    f"{section}.{key}.kind: {kind!r} is now `{said}`; the old name goes with the next release"
                )
    return renewed, notes
