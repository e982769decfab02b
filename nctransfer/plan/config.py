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
    silent: list[Path] = []  # overlays that do not say where their outputs go
    for path in (base, *overlays):
        try:
            part = documents.read_mapping(path)
        except ConfigError as error:
            found += str(error).splitlines()
            continue
        if path != base and "study" not in part:
            silent.append(path)
        config = merge(config, part)
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
    config = merge(config, single)
    rules = documents.read_mapping(SCHEMA)
    wrong = schema.mistakes(config, rules)
    sound = schema.with_defaults(schema.without_mistakes(config, rules), rules, rules)
    found += sorted({*wrong, *_cross_check(sound, config)})
    config = sound
    if found:
        count = "one mistake" if len(found) == 1 else f"{len(found)} mistakes"
        raise ConfigError("\n".join([f"{count} in the configuration:", *(f"  {line}" for line in found)]))
    return config


def _cross_check(config: Mapping[str, Any], named: Mapping[str, Any]) -> Iterator[str]:
    """Check what one key says of another, and names against what there is.

    Args:
        config: the complete configuration, less what the schema refuses.
        named: the configuration as it was given; its names are known even where an entry is wrong.
    """
    for key, entry in config["datasets"].items():
        for path, message in catalogue.validate_dataset(given(entry)):
            # files and folders are looked for when a target needs them: other entries cost nothing
            if path[:1] not in [(name,) for name in catalogue.PATH_KEYS]:
                yield f"{schema.key_path(('datasets', key, *path))}: {message}"
    for key, entry in config["models"].items():
        yield from _check_model(key, entry, named)
    yield from _check_variant("probes.solver", "nctransfer.probing.solvers", config["probes"]["solver"])
    yield from _check_variant("training.loss", "nctransfer.training.losses", config["training"]["loss"])
    for key, figure in config["figures"].items():
        yield from _check_variant(f"figures.{key}.kind", "nctransfer.reporting.figures", figure["kind"])
        for index, panel in enumerate(figure["panels"]):
            where = f"figures.{key}.panels[{index}]"
            for field, section in (("model", "models"), ("dataset", "datasets")):
                yield from _check_reference(f"{where}.{field}", panel[field], section, named)
            if panel["model"] in config["models"]:
                yield from _check_pooling(f"{where}.pooling", panel, config["models"][panel["model"]])


def _check_pooling(where: str, panel: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    try:
        poolings = describe_model(entry).poolings
    except (ConfigError, KeyError):
        return  # reported where the model is checked
    if panel["pooling"] not in (None, *poolings):
        yield f"{where}: model {panel['model']!r} has no {panel['pooling']!r}; it has: {', '.join(poolings)}"


def given(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that an entry sets, as against those that defaults filled with null or nothing."""
    return {key: value for key, value in entry.items() if value is not None and value != {}}


def _check_reference(where: str, name: str, section: str, config: Mapping[str, Any]) -> Iterator[str]:
    entries = config.get(section)
    known = sorted(map(str, entries)) if isinstance(entries, dict) else []
    if name not in known:
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
    if entry["source"] == "local" and str(entry["architecture"]).startswith("open_clip/"):
        for name in ("mean", "std"):
            if entry[name] is None:
                yield f"{where}.{name}: missing; open_clip publishes its architectures with several"
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
            yield f"{where}.{error}" if str(error).startswith(("poolings:", "size:")) else f"{where}: {error}"
