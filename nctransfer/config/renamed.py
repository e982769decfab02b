"""Renamed keys: the old names work for one more release, with a warning that gives the new name."""

from collections.abc import Mapping
from typing import Any

SECTIONS = {"fewshot": "few_shot", "runs": "operation"}
"""New names of keys of the configuration itself, by old name."""

ENTRY_KEYS = {"models": {"family": "unit_layout"}, "families": {"family": "unit_layout"}}
"""New names of keys of a section's entries, by section and old name."""

KINDS: dict[str, dict[str, str]] = {
    "layerwise_diagram": {"kind": "diagram", "layout": "layerwise"},
    "tuning_diagram": {"kind": "diagram", "layout": "tuning"},
    "candidates_diagram": {"kind": "diagram", "layout": "candidates"},
    "measurements": {"kind": "nc1_measurements"},
}
"""What an entry of ``figures:`` or ``tables:`` says now, by its old kind."""

LIBRARIES = {"fewshot": "few_shot"}
"""New names of this project's libraries of architectures (``<library>/<network>``), by old name."""

_UNTIL = "the old name works until the next release"


def with_new_names(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Old names replaced, and a warning for each; where both names stand, the old one is refused later."""
    notes: list[str] = []
    renewed = _renamed(values, SECTIONS, "", notes)
    for section in ("models", "families", "figures", "tables"):
        if isinstance(renewed.get(section), dict):
            renewed[section] = {
                key: _entry(section, entry, f"{section}.{key}.", notes) if isinstance(entry, dict) else entry
                for key, entry in renewed[section].items()
            }
    return renewed, notes


def _renamed(
    values: Mapping[str, Any], names: Mapping[str, str], where: str, notes: list[str]
) -> dict[str, Any]:
    old = {key for key in names.keys() & values.keys() if names[key] not in values}
    notes += [f"{where}{key}: is now `{names[key]}`; {_UNTIL}" for key in sorted(old)]
    return {names[key] if key in old else key: value for key, value in values.items()}


def _entry(section: str, values: Mapping[str, Any], where: str, notes: list[str]) -> dict[str, Any]:
    entry = _renamed(values, ENTRY_KEYS.get(section, {}), where, notes)
    kind, architecture = entry.get("kind"), entry.get("architecture")
    if section in ("figures", "tables") and isinstance(kind, str) and kind in KINDS:
        entry |= KINDS[kind]
        new = ", ".join(f"{key}: {value}" for key, value in KINDS[kind].items())
        notes.append(f"{where}kind: {kind!r} is now `{new}`; {_UNTIL}")
    if isinstance(architecture, str):
        library, slash, network = architecture.partition("/")
        if slash and library in LIBRARIES:
            entry["architecture"] = f"{LIBRARIES[library]}/{network}"
            notes.append(f"{where}architecture: {architecture!r} is now {entry['architecture']!r}; {_UNTIL}")
    return entry
