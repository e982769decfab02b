"""The configuration's front end: read, merge, check, complete.

``config.yaml`` is read first; overlays (``--configfile``) and single values
(``--config``) are merged into it, mappings key by key, lists whole. All mistakes are
reported at once, before any job is planned.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import documents, families, finetuning, ranking, schema
from nctransfer.plan.checks import cross_check

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.yaml"


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` settings as given to ``--config``; values are YAML.

    Raises:
        ConfigError: an entry is no ``KEY=VALUE``.
    """
    merged: dict[str, Any] = {}
    for entry in settings:
        key, equals, text = entry.partition("=")
        if not equals or not key:
            raise ConfigError(f"--config {entry!r}: not of the form KEY=VALUE")
        merged = documents.merge(merged, {key: documents.parse(text, f"--config {key}")})
    return merged


def load(base: Path, overlays: Sequence[Path] = (), settings: Iterable[str] = ()) -> dict[str, Any]:
    """Read, merge, check and complete the configuration.

    Args:
        base: config.yaml.
        overlays: files of ``--configfile``, in order.
        settings: ``KEY=VALUE`` entries of ``--config``.

    Returns:
        the whole configuration, every key present; among its models those that ``rank`` names, members of
        families, snapshots of trainings and fine-tuning runs, among its pictures those of rankings.

    Raises:
        ConfigError: one line for every mistake.
    """
    found: list[str] = []
    config: dict[str, Any] = {}
    silent: list[Path] = []  # overlays that do not say where their outputs go
    for path in (base, *overlays):
        try:
            part = documents.read_mapping(path)
        except ConfigError as error:
            found += str(error).splitlines()
            continue
        if path != base and "study" not in part:
            silent.append(path)
        config = documents.merge(config, part)
    try:
        single = parse_settings(settings)
    except ConfigError as error:
        found += str(error).splitlines()
        single = {}
    if "study" not in single:
        found += [
            f"{path}: an overlay says where its outputs go: set `study: {Path(path).stem}` "
            "(results/, figures/ subfolder), or `study: null` to write to the paper's own folders"
            for path in silent
        ]
    config = documents.merge(config, single)
    rules = documents.read_mapping(SCHEMA)
    wrong = schema.mistakes(config, rules)
    sound = schema.with_defaults(schema.without_mistakes(config, rules), rules, rules)
    named, clashes = ranking.derive_models(sound)
    sound["models"] |= schema.with_defaults({"models": named}, rules, rules)["models"]
    config = documents.merge(config, {"models": named})
    for derive in (families.derive, finetuning.derive):
        derived, unclear = derive(sound)
        config = documents.merge(config, {"models": derived})
        sound["models"] |= derived
        clashes += unclear
    found += sorted({*wrong, *clashes, *cross_check(sound, config)})
    pictures, taken = ranking.derive_pictures(sound)
    found += taken
    complete = schema.with_defaults(pictures, rules, rules)
    for section in pictures:
        sound[section] |= complete[section]
    config = sound
    if found:
        count = "one mistake" if len(found) == 1 else f"{len(found)} mistakes"
        raise ConfigError("\n".join([f"{count} in the configuration:", *(f"  {line}" for line in found)]))
    return config
