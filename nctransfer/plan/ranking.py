"""What ``rank:`` asks for: which models are ranked on which data sets, by what, and the pictures of it.

A model is named by its key, by a group of a family, or as ``library/name`` (``library/name:weights``),
which makes an entry of ``models`` of it that is shown images as its library does.

Standard library only: the Snakefile reads this.
"""

import csv
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import families
from nctransfer.plan.known_models import lookup
from nctransfer.plan.model_facts import LIBRARIES
from nctransfer.plan.names import check_reference, check_variant, of_refused_family
from nctransfer.plan.run_checks import check_sweep
from nctransfer.suggestions import suggestion

SCORES = "nctransfer.transferability.scores"
# Options that bound the samples: of everything, and of scores whose cost grows faster.
LIMITS = ("samples", "pair_samples", "mixture_samples")
KINDS = {"figures": {"": "ranking", "-units": "ranking_units"}, "tables": {"": "ranking"}}
IMAGENET = "ImageNet-1k"
ACCURACIES = Path(__file__).with_name("source_accuracies.csv")


def ranked_models(config: Mapping[str, Any]) -> list[str]:
    """Keys of the ranked models, groups taken apart, each once."""
    groups, own = families.group_members(config), _own_keys(config)
    names: dict[str, None] = {}
    for name in config["rank"]["models"]:
        if name in groups and name not in config["models"]:
            names |= dict.fromkeys(groups[name].values())
        else:
            names[own.get(name, name)] = None
    return list(names)


def derive_models(config: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Entries of ``models`` for those that ``rank.models`` names as ``library/name``, by key.

    Returns:
        the entries, without what defaults fill in, and a line for every mistake.
    """
    models: dict[str, dict[str, Any]] = {}
    mistakes: list[str] = []
    for name, key in _own_keys(config).items():
        library, _, rest = name.partition("/")
        model, _, weights = rest.partition(":")
        if library not in LIBRARIES:
            continue  # other checks tell
        try:
            lookup(library, model, weights or None)
        except ConfigError as error:
            mistakes.append(f"rank.models: {name!r}: {error}")
            continue
        entry = {"source": library, "name": model, "preprocess": "native", "ranked_as": name}
        models[key] = entry | ({"weights": weights} if weights else {})
    return models, mistakes


def _own_keys(config: Mapping[str, Any]) -> dict[str, str]:
    """Keys of the models named as ``library/name``: the name, after the library's where it is taken."""
    keys: dict[str, str] = {}
    for name in config["rank"]["models"]:
        library, slash, rest = name.partition("/")
        if slash:
            key = re.sub(r"[^A-Za-z0-9._-]", ".", rest)
            there = config["models"].get(key)
            taken = there is not None and there.get("ranked_as") != name
            keys[name] = f"{library}-{key}" if taken or key in keys.values() else key
    return keys


def picture_keys(config: Mapping[str, Any], section: str) -> list[str]:
    """Keys of the figures or tables of the rankings."""
    return [f"rank-{dataset}{end}" for dataset in config["rank"]["datasets"] for end in KINDS[section]]


def derive_pictures(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Figures and tables of every ranking, by section and key, without what defaults fill in.

    Returns:
        the entries, and a line for every key that is taken.
    """
    pictures: dict[str, Any] = {section: {} for section in KINDS}
    mistakes: list[str] = []
    for dataset, (section, kinds) in product(dict.fromkeys(config["rank"]["datasets"]), KINDS.items()):
        for end, kind in kinds.items():
            key = f"rank-{dataset}{end}"
            if key in config[section] or key in pictures[section]:
                mistakes.append(f"{section}.{key}: also the key of a ranking's picture; rename it")
            pictures[section][key] = {"kind": kind, "panels": [{"rank": dataset}]}
    return pictures, mistakes


def panel(config: Mapping[str, Any], model: str, dataset: str) -> dict[str, Any]:
    """The fine-tuning runs of a model that a ranking is compared with, as a panel asks for them."""
    return {"model": model, "dataset": dataset, "runs": config["rank"]["runs"] or []}


def panels(config: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and panel of all fine-tuning runs that rankings are compared with."""
    if config["rank"]["runs"]:
        for dataset in config["rank"]["datasets"]:
            for model in ranked_models(config):
                yield "rank.runs", panel(config, model, dataset)


def source_of(config: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Accuracy (%) of a model on its source data, where the plan knows it, and where else it is read.

    A fine-tuned model's is that of the model it was tuned from.

    Returns:
        ``accuracy``: as the entry says or the library publishes it, else None; ``history`` and ``epoch``: the
        model whose training's history holds it, else None; ``data``: on which data, None where nobody says.
    """
    entry = config["models"][model]
    if "run" in entry:
        return source_of(config, entry["run"]["model"])
    found = {"accuracy": entry["source_accuracy"], "history": None, "epoch": None, "data": None}
    if found["accuracy"] is not None:
        return found
    if entry["source"] == "pretraining":
        trained = {"history": entry.get("snapshot_of", model), "epoch": entry.get("epoch")}
        return found | trained | {"data": entry["dataset"]}
    if entry["source"] in LIBRARIES:
        published = _published().get(_weights_of(entry))
        return found | {"accuracy": published, "data": None if published is None else IMAGENET}
    return found


def _weights_of(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    """Source, name and weights of a library's model, default weights by their name."""
    known = lookup(entry["source"], entry["name"], entry["weights"])
    return known.source, known.name, known.weights


def measured_accuracies(config: Mapping[str, Any], dataset: str) -> dict[str, Any] | None:
    """Accuracies (%) of the ranked models on a data set that were measured elsewhere (``rank.measured``).

    Returns:
        ``name`` of the file without folder and suffix, and ``accuracies`` by model; None without a file.

    Raises:
        ConfigError: the file is missing or not such a table, a model stands twice, an accuracy is no number
            from 0 to 100, or the file says nothing of any ranked model on this data set.
    """
    if config["rank"]["measured"] is None:
        return None
    path = Path(config["rank"]["measured"]).expanduser()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), reader.fieldnames or []
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"rank.measured: {str(path)!r} cannot be read ({error})") from None
    for column in ("dataset", "model", "accuracy"):
        if column not in columns:
            there = ", ".join(columns) or "none"
            raise ConfigError(f"rank.measured: {path}: no column {column!r}; it has: {there}")
    models = ranked_models(config)
    found: dict[str, float] = {}
    for row in rows:
        model = row["model"]
        if row["dataset"] != dataset or model not in models:
            continue
        if model in found:
            raise ConfigError(f"rank.measured: {path}: {model} on {dataset} stands more than once")
        found[model] = _percentage(path, row)
    if not found:
        known = sorted({row["dataset"] for row in rows})
        raise ConfigError(
            f"rank.measured: {path}: no accuracy of any ranked model on {dataset!r}"
            f"{suggestion(dataset, known)}; it has data sets: {', '.join(known)}"
        )
    if all(0 < value <= 1 for value in found.values()):
        raise ConfigError(
            f"rank.measured: {path}: accuracies of {dataset} are shares; they must be percentages"
        )
    return {"name": path.stem, "accuracies": found}


def _percentage(path: Path, row: Mapping[str, str]) -> float:
    try:
        value = float(row["accuracy"])
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 100:
        raise ConfigError(
            f"rank.measured: {path}: accuracy {row['accuracy']!r} of {row['model']} on {row['dataset']}; "
            "allowed are numbers from 0 to 100 (%)"
        )
    return value


@lru_cache(maxsize=1)
def _published() -> dict[tuple[str, str, str], float]:
    """ImageNet-1k top-1 (%) that libraries publish with their weights."""
    with ACCURACIES.open(newline="") as file:
        return {
            (row["source"], row["name"], row["weights"]): float(row["accuracy"])
            for row in csv.DictReader(file)
        }


def check_rank(config: Mapping[str, Any], named: Mapping[str, Any]) -> Iterator[str]:
    """What a JSON schema cannot say of ``rank:``."""
    rank, groups = config["rank"], families.group_members(config)
    for dataset in rank["datasets"]:
        yield from check_reference("rank.datasets", dataset, "datasets", named)
    for model in rank["models"]:
        library, slash, _ = model.partition("/")
        if slash:
            if library not in LIBRARIES:
                yield f"rank.models: {model!r}: no library {library!r}; allowed: {', '.join(LIBRARIES)}"
        elif model not in groups and not of_refused_family(model, config, named):
            yield from check_reference("rank.models", model, "models", named)
    for score in rank["scores"]:
        yield from check_variant("rank.scores", SCORES, score)
    if rank["datasets"] and not rank["models"]:
        yield "rank.models: empty, so there is nothing to rank on the data sets of rank.datasets"
    models = [model for model in ranked_models(config) if model in config["models"]]
    yield from _check_twins(models, config)
    yield from _check_runs(models, config)


def _check_twins(models: list[str], config: Mapping[str, Any]) -> Iterator[str]:
    """Refuse the same weights, shown images in the same way, under two keys: they would count twice."""
    first: dict[tuple[Any, ...], str] = {}
    for model in models:
        entry = config["models"][model]
        if entry["source"] not in LIBRARIES:
            continue
        try:
            weights = _weights_of(entry)
        except ConfigError:
            continue  # told where the model is checked
        shown = (*weights, entry["preprocess"] or config["preprocess"], entry["size"], entry["family"])
        other = first.setdefault(shown, model)
        if other != model:
            yield f"rank.models: {other!r} and {model!r} are the same weights; name one of them"


def _check_runs(models: list[str], config: Mapping[str, Any]) -> Iterator[str]:
    """Fine-tuning runs to compare with: of models that can be tuned, each method in one place."""
    sweeps = config["rank"]["runs"] or ()
    methods = [method for sweep in sweeps for method in sweep["methods"]]
    for method in sorted({method for method in methods if methods.count(method) > 1}):
        yield f"rank.runs: {method!r} stands in two entries, whose accuracies could not be told apart"
    for model in models:
        if "run" in config["models"][model] and sweeps:
            yield f"rank.models: {model!r} is itself fine-tuned, so rank.runs cannot tune it"
            continue
        for index, sweep in enumerate(sweeps):
            yield from check_sweep(f"rank.runs[{index}]", {"model": model, "runs": sweeps}, sweep, config)
