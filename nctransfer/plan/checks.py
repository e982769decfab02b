"""What a JSON schema cannot say of a configuration: what one key says of another, and names.

Every mistake is one line that names the key.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import catalogue, documents, families, kinds, schema
from nctransfer.plan.diagrams import check_diagram
from nctransfer.plan.documents import given
from nctransfer.plan.episode_checks import check_episodes
from nctransfer.plan.model_facts import describe_model
from nctransfer.plan.names import check_reference, check_variant, of_refused_family
from nctransfer.plan.ranking import check_rank, picture_keys
from nctransfer.plan.run_checks import check_finetuned, check_kind, check_sweep, check_titles
from nctransfer.plan.runs import PACKAGE, kept_units
from nctransfer.plan.training import snapshot_epochs, training_problems
from nctransfer.suggestions import suggestion

_LIBRARY = {"name", "weights", "family", "size", "preprocess", "poolings", "units", "source_accuracy"}
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
            "units",
            "source_accuracy",
        },
        {"architecture", "weights"},
    ),
    "pretraining": (
        {"architecture", "dataset", "options", "family", "size", "poolings", "units", "training"},
        {"architecture", "dataset", "size"},
    ),
}
# Which fields a panel has, by what it is of.
PANELS = {
    "model": "model",
    "series": "series",
    "datasets": "model and datasets",
    "runs": "model and runs",
    "rank": "rank",
    "method": "model and method",
}
# What a figure's or table's key may not end with: with it, it would be the name of another one's file.
SUFFIXES = (".pdf", ".png", ".csv", ".json", ".md", ".tex", ".html")


def cross_check(config: Mapping[str, Any], named: Mapping[str, Any]) -> Iterator[str]:
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
        yield from _check_model(key, entry, named, config)
    yield from check_variant("probes.solver", "nctransfer.probing.solvers", config["probes"]["solver"])
    yield from _check_training("training", config["training"])
    for key, entry in config["finetuned"].items():
        yield from check_finetuned(f"finetuned.{key}", entry, config, named)
    for section in ("figures", "tables"):
        for key, entry in config[section].items():
            if key.endswith(SUFFIXES):
                yield f"{section}: {key!r} ends like a file; call it {key.rpartition('.')[0]!r}"
            package = f"nctransfer.reporting.{section}"
            yield from check_variant(f"{section}.{key}.kind", package, entry["kind"])
            for index, panel in enumerate(entry["panels"]):
                where = f"{section}.{key}.panels[{index}]"
                yield from _check_panel(where, entry["kind"], panel, config, named)
            if bool(entry["panels"]) != kinds.facts(entry["kind"]).has_panels:
                told = "has no meaning for kind" if entry["panels"] else "missing; it has no default for kind"
                yield f"{section}.{key}.panels: {told} {entry['kind']!r}"
            if section == "tables":
                yield from check_titles(f"tables.{key}", entry["panels"], config)
    yield from check_rank(config, named)
    yield from _check_report(config)
    for kind, methods in config["finetuning"]["rates"].items():
        for method in methods:
            yield from check_variant(f"finetuning.rates.{kind}.{method}", PACKAGE, method)


def _check_report(config: Mapping[str, Any]) -> Iterator[str]:
    """Refuse a picture that is not there; those of rankings are."""
    known = [
        key for section in ("figures", "tables") for key in (*config[section], *picture_keys(config, section))
    ]
    for index, key in enumerate(config["report"]["pictures"] or ()):
        if key not in known:
            there = f"{suggestion(key, known)}; there are: {', '.join(known)}"
            yield f"report.pictures[{index}]: no {key!r} in figures and tables{there}"


def _check_panel(
    where: str, kind: str, panel: Mapping[str, Any], config: Mapping[str, Any], named: Mapping[str, Any]
) -> Iterator[str]:
    known = kinds.facts(kind)
    shown = " and ".join(field for field in PANELS if panel[field] is not None)
    wanted = [PANELS[known.panel]] if known.panel else list(PANELS.values())
    if shown not in wanted:
        yield f"{where}: has {shown or 'no model'}; kind {kind!r} takes {', or '.join(wanted)}"
    yield from _check_abscissa(f"{where}.abscissa", kind, panel["abscissa"])
    for field, meant in (("nc1_on", "series"), ("pooling", "model")):
        if panel[field] is not None and panel[meant] is None:
            yield f"{where}.{field}: has no meaning for a panel without {meant}"
    for field in ("dataset", "nc1_on"):
        if panel[field] is not None:
            yield from check_reference(f"{where}.{field}", panel[field], "datasets", named)
    if panel["model"] is not None and not of_refused_family(panel["model"], config, named):
        yield from check_reference(f"{where}.model", panel["model"], "models", named)
    if panel["rank"] is not None:
        if panel["rank"] not in config["rank"]["datasets"]:
            ranked = ", ".join(config["rank"]["datasets"]) or "none"
            yield f"{where}.rank: {panel['rank']!r} is not ranked; rank.datasets holds: {ranked}"
    elif panel["datasets"] is not None:
        yield from _check_datasets(where, panel, config, named)
    elif panel["dataset"] is None and known.names_dataset:
        yield f"{where}.dataset: missing; it has no default"
    for index, sweep in enumerate(panel["runs"] or ()):
        yield from check_sweep(f"{where}.runs[{index}]", panel, sweep, config)
    if panel["runs"]:
        yield from check_kind(where, kind, panel, config)
    yield from check_diagram(where, kind, panel, config)
    if known.reads == "episodes":
        yield from check_episodes(where, panel, config)
    if panel["model"] in config["models"]:
        entry = config["models"][panel["model"]]
        base = config["models"].get(entry["run"]["model"], entry) if "run" in entry else entry
        yield from _check_pooling(f"{where}.pooling", panel, base)
        if kind == "layerwise" and kept_units(config, panel["model"]) != "all":
            kept = f"only the penultimate feature of {panel['model']!r} is kept"
            yield f"{where}.model: {kept}; set its units: all"
        if known.reads == "snapshots":
            yield from _check_snapshots(f"{where}.model", panel["model"], entry, config)
    members = families.group_members(config)
    shown_points = []
    for index, series in enumerate(panel["series"] or ()):
        yield from _check_series(f"{where}.series[{index}]", series, config, named)
        labels = series["models"] or members.get(series["group"], {})
        shown_points += [(series["name"], label) for label in labels]
    for name, label in sorted({point for point in shown_points if shown_points.count(point) > 1}):
        yield f"{where}.series: two points are called {f'{name} {label}'.strip()!r}; name their series"


def _check_abscissa(where: str, kind: str, abscissa: str | None) -> Iterator[str]:
    allowed = kinds.facts(kind).abscissas
    if allowed and abscissa is None:
        yield f"{where}: missing; allowed: {', '.join(allowed)}"
    elif allowed and abscissa not in allowed:
        yield f"{where}: {abscissa!r} has no meaning for kind {kind!r}; allowed: {', '.join(allowed)}"
    elif abscissa is not None and not allowed:
        readers = [name for name, known in kinds.KINDS.items() if known.abscissas]
        yield f"{where}: is read by {' and '.join(readers)} only"


def _check_datasets(
    where: str, panel: Mapping[str, Any], config: Mapping[str, Any], named: Mapping[str, Any]
) -> Iterator[str]:
    """Data sets that are a point each: known, each once, and told apart by their names."""
    for field in ("dataset", "pooling"):
        if panel[field] is not None:
            yield f"{where}.{field}: has no meaning for a panel with datasets"
    datasets, titles = panel["datasets"], config["style"]["titles"]
    for index, dataset in enumerate(datasets):
        yield from check_reference(f"{where}.datasets[{index}]", dataset, "datasets", named)
    for dataset in sorted({dataset for dataset in datasets if datasets.count(dataset) > 1}):
        yield f"{where}.datasets: {dataset!r} stands in it twice"
    names = [titles.get(dataset, dataset) for dataset in dict.fromkeys(datasets)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{where}.datasets: two data sets are called {name!r}; tell them apart in style.titles"


def _check_series(
    where: str, series: Mapping[str, Any], config: Mapping[str, Any], named: Mapping[str, Any]
) -> Iterator[str]:
    if (series["group"] is None) == (series["models"] is None):
        yield f"{where}: takes either group or models"
    for label, model in (series["models"] or {}).items():
        if not of_refused_family(model, config, named):
            yield from check_reference(f"{where}.models.{label}", model, "models", named)
    if series["group"] is not None and not of_refused_family(series["group"], config, named):
        known = sorted(families.group_members(config))
        if series["group"] not in known:
            close = suggestion(series["group"], known)
            yield f"{where}.group: no {series['group']!r} in families{close}; there are: {', '.join(known)}"


def _check_snapshots(
    where: str, model: str, entry: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[str]:
    if entry["source"] != "pretraining":
        yield f"{where}: {model!r} is not trained here, so it has no snapshots"
    elif "snapshot_of" in entry:
        yield f"{where}: {model!r} is itself a snapshot; name {entry['snapshot_of']!r}"
    elif not snapshot_epochs(documents.merge(config["training"], entry["training"])):
        yield f"{where}: {model!r} takes no snapshots; set training.snapshot_every for it"


def _check_pooling(where: str, panel: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    try:
        poolings = describe_model(entry).poolings
    except (ConfigError, KeyError):
        return  # reported where the model is checked
    if panel["pooling"] not in (None, *poolings):
        yield f"{where}: model {panel['model']!r} has no {panel['pooling']!r}; it has: {', '.join(poolings)}"


def _check_training(where: str, training: Mapping[str, Any]) -> Iterator[str]:
    yield from check_variant(f"{where}.loss", "nctransfer.training.losses", training["loss"])
    for key, message in training_problems(training):
        yield f"{where}.{key}: {message}"


def _in_their_words(line: str, entry: Mapping[str, Any]) -> str:
    """Name what members of a family run through by its own key."""
    axis = entry.get("axis", "")
    inner = {"heads": "projection.head"}.get(axis, f"{axis}.level")
    return line.replace(f".training.{inner}:", f".{axis}:") if axis else line


def _check_model(
    key: str, entry: Mapping[str, Any], config: Mapping[str, Any], study: Mapping[str, Any]
) -> Iterator[str]:
    if "snapshot_of" in entry:
        return  # what it is a snapshot of is checked
    if "run" in entry:
        return  # so are runs, where they are asked for
    member = entry.get("member_of", f"models.{key}")
    where = member.partition(".members.")[0]  # what members share stands with the family
    if entry["source"] not in MODEL_KEYS:
        known = ", ".join(MODEL_KEYS)
        close = suggestion(entry["source"], MODEL_KEYS)
        yield f"{where}.source: {entry['source']!r} is no source of models{close}; allowed: {known}"
        return
    allowed, required = MODEL_KEYS[entry["source"]]
    present = set(given(entry)) - {"source", *families.DERIVED} - ({"head"} if entry["head"] else set())
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
        yield from check_variant(f"{where}.family", "nctransfer.models.families", entry["family"])
    if entry["dataset"] is not None:
        yield from check_reference(f"{where}.dataset", entry["dataset"], "datasets", config)
    if entry["source"] == "pretraining":
        shared = set(_check_training("", study["training"]))  # the study's own mistakes are told once
        training = documents.merge(study["training"], entry["training"])
        for line in _check_training("", training):
            if line not in shared:
                yield _in_their_words(f"{member}.training{line}", entry)
    if required <= present and not present - allowed:
        try:
            describe_model(entry)
        except ConfigError as error:
            yield f"{where}.{error}" if str(error).startswith(("poolings:", "size:")) else f"{where}: {error}"
