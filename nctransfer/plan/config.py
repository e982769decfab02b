"""The configuration's front end: read, merge, check, complete.

``config.yaml`` is read first; overlays (``--configfile``) and single values
(``--config``) are merged into it, mappings key by key, lists whole. All mistakes are
reported at once, before any job is planned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nctransfer.errors import ConfigError, suggestion
from nctransfer.plan import catalogue, documents, schema, variants
from nctransfer.plan.model_facts import describe_model

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.yaml"

_LIBRARY = {"name", "weights", "family", "size", "preprocess", "poolings"}
# Which keys an entry of `models:` may have, and which it must, by source.
MODEL_KEYS = {
    "torchvision": (_LIBRARY, {"name"}),
    "timm": (_LIBRARY, {"name"}),
    "open_clip": (_LIBRARY, {"name"}),
    "local": (
        {
            "architecture",
            "weights",
            "options",
            "family",
            "size",
            "preprocess",
            "mean",
            "std",
            "head",
            "poolings",
        },
        {"architecture", "weights"},
    ),
    "pretraining": (
        {"architecture", "dataset", "options", "family", "size", "poolings", "training"},
        {"architecture", "dataset", "size"},
    ),
}


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one configuration over another: mappings key by key, everything else whole."""
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


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
        merged = merge(merged, {key: documents.parse(text, f"--config {key}")})
    return merged


def load(base: Path, overlays: Sequence[Path] = (), settings: Iterable[str] = ()) -> dict[str, Any]:
    """Read, merge, check and complete the configuration.

    Args:
        base: config.yaml.
        overlays: files of ``--configfile``, in order.
        settings: ``KEY=VALUE`` entries of ``--config``.

    Returns:
        the whole configuration, every key present.

    Raises:
        ConfigError: one line for every mistake.
    """
    found: list[str] = []
    config: dict[str, Any] = {}
    for path in (base, *overlays):
        try:
            part = documents.read_mapping(path)
        except ConfigError as error:
            found += str(error).splitlines()
            continue
        if path != base and "study" not in part:
            found.append(
                f"{path}: an overlay says where its outputs go: set `study: {Path(path).stem}` "
                "(results/, figures/ subfolder), or `study: null` to write to the paper's own folders"
            )
        config = merge(config, part)
    try:
        config = merge(config, parse_settings(settings))
    except ConfigError as error:
        found += str(error).splitlines()
    rules = documents.read_mapping(SCHEMA)
    wrong = schema.mistakes(config, rules)
    if not wrong:
        config = schema.with_defaults(config, rules, rules)
        wrong = sorted(set(_cross_check(config)))
    found += wrong
    if found:
        count = "one mistake" if len(found) == 1 else f"{len(found)} mistakes"
        raise ConfigError("\n".join([f"{count} in the configuration:", *(f"  {line}" for line in found)]))
    return config


def _cross_check(config: Mapping[str, Any]) -> Iterator[str]:
    """Check what one key says of another, and names against what there is."""
    for key, entry in config["datasets"].items():
        for path, message in catalogue.validate_dataset(given(entry)):
            yield f"{schema.key_path(('datasets', key, *path))}: {message}"
    for key, entry in config["models"].items():
        yield from _check_model(key, entry, config)
    yield from _check_variant("probes.solver", "nctransfer.probing.solvers", config["probes"]["solver"])
    yield from _check_variant("training.loss", "nctransfer.training.losses", config["training"]["loss"])
    for key, figure in config["figures"].items():
        yield from _check_variant(f"figures.{key}.kind", "nctransfer.reporting.figures", figure["kind"])
        for index, panel in enumerate(figure["panels"]):
            for field, section in (("model", "models"), ("dataset", "datasets")):
                where = f"figures.{key}.panels[{index}].{field}"
                yield from _check_reference(where, panel[field], section, config)


def given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that an entry sets, as against those that defaults filled with null or nothing."""
    return {key: value for key, value in entry.items() if value is not None and value != {}}


def _check_reference(where: str, name: str, section: str, config: Mapping[str, Any]) -> Iterator[str]:
    if name not in config[section]:
        known = sorted(config[section])
        yield f"{where}: no {name!r} in {section}{suggestion(name, known)}; there are: {', '.join(known)}"


def _check_variant(where: str, package: str, name: str) -> Iterator[str]:
    try:
        variants.module_name(package, name)
    except ConfigError as error:
        yield f"{where}: {error}"


def _check_model(key: str, entry: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    where = f"models.{key}"
    if entry["source"] not in MODEL_KEYS:
        known = ", ".join(MODEL_KEYS)
        close = suggestion(entry["source"], MODEL_KEYS)
        yield f"{where}.source: {entry['source']!r} is no source of models{close}; allowed: {known}"
        return
    allowed, required = MODEL_KEYS[entry["source"]]
    present = set(given(entry)) - {"source"} - ({"head"} if entry["head"] else set())
    for name in sorted(present - allowed):
        meant = ", ".join(sorted(allowed))
        yield f"{where}.{name}: has no meaning for source {entry['source']!r}; allowed: {meant}"
    for name in sorted(required - present):
        yield f"{where}.{name}: missing; source {entry['source']!r} needs it"
    if entry["family"] is not None:
        yield from _check_variant(f"{where}.family", "nctransfer.models.families", entry["family"])
    if entry["dataset"] is not None:
        yield from _check_reference(f"{where}.dataset", entry["dataset"], "datasets", config)
    if "loss" in entry["training"]:
        yield from _check_variant(
            f"{where}.training.loss", "nctransfer.training.losses", entry["training"]["loss"]
        )
    if required <= present and not present - allowed:
        try:
            describe_model(entry)
        except ConfigError as error:
            yield f"{where}: {error}"
