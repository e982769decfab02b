"""What ``rank:`` asks for: which models are ranked on which data sets, by what, and the pictures of it.

A model is named by its key, by a group of a family, or as ``library/name`` (``library/name:weights``),
which makes an entry of ``models`` of it that is shown images as its library does.

Standard library only: the Snakefile reads this.
"""

import csv
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

SCORES = "nctransfer.transferability.scores"
# Options that bound the samples: of everything, and of scores whose cost grows faster.
LIMITS = ("samples", "pair_samples", "mixture_samples")
KINDS = {"figures": {"": "ranking", "-units": "ranking_units"}, "tables": {"": "ranking"}}
ACCURACIES = Path(__file__).with_name("source_accuracies.csv")


def ranked_models(config: Mapping[str, Any]) -> list[str]:
    """Keys of the ranked models, groups taken apart, each once."""
    groups = families.group_members(config)
    names: dict[str, None] = {}
    for name in config["rank"]["models"]:
        if name in groups and name not in config["models"]:
            names |= dict.fromkeys(groups[name].values())
        else:
            names[_own_keys(config).get(name, name)] = None
    return list(names)


def derive_models(config: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Entries of ``models`` for those that ``rank.models`` names as ``library/name``, by key.

    Returns:
        the entries, and a line for every mistake.
    """
    models: dict[str, dict[str, Any]] = {}
    mistakes: list[str] = []
    for name, key in _own_keys(config).items():
        library, _, rest = name.partition("/")
        model, _, weights = rest.partition(":")
        try:
            lookup(library, model, weights or None)
        except ConfigError as error:
            mistakes.append(f"rank.models: {name!r}: {error}")
            continue
        models[key] = {
            **families.UNSET, "source": library, "name": model, "weights": weights or None,
            "preprocess": "native", "architecture": None, "options": {}, "dataset": None, "family": None,
            "size": None, "poolings": None, "training": {}, "units": None,
        }  # fmt: skip
    return models, mistakes


def _own_keys(config: Mapping[str, Any]) -> dict[str, str]:
    """Keys of the models named as ``library/name``: the name, after the library's where it is taken."""
    keys: dict[str, str] = {}
    for name in config["rank"]["models"]:
        library, slash, rest = name.partition("/")
        if slash:
            key = re.sub(r"[^A-Za-z0-9._-]", ".", rest)
            there = config["models"].get(key)
            taken = there is not None and not _is_own(there, library, rest)
            keys[name] = f"{library}-{key}" if taken or key in keys.values() else key
    return keys


def _is_own(entry: Mapping[str, Any], library: str, rest: str) -> bool:
    """Whether an entry is the one that :func:`derive_models` made."""
    name, _, weights = rest.partition(":")
    wanted = {"source": library, "name": name, "weights": weights or None, "preprocess": "native"}
    return all(entry.get(field) == value for field, value in wanted.items())


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
    """Accuracy (%) of a model on its source data where the plan knows it, and where else it is read.

    ``accuracy``: as the entry says or the library publishes it, else None; ``history``: the model whose
    training's history holds it, else None.
    """
    entry = config["models"][model]
    if entry["source_accuracy"] is not None:
        return {"accuracy": entry["source_accuracy"], "history": None, "epoch": None}
    if entry["source"] == "pretraining":
        trained = entry.get("snapshot_of", model)
        return {"accuracy": None, "history": trained, "epoch": entry.get("epoch")}
    published = None
    if entry["source"] in LIBRARIES:
        known = lookup(entry["source"], entry["name"], entry["weights"])
        published = _published().get((known.source, known.name, known.weights))
    return {"accuracy": published, "history": None, "epoch": None}


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
    models = [model for model in ranked_models(config) if model in config["models"]]
    for model in models:
        if "run" in config["models"][model] and rank["runs"]:
            yield f"rank.models: {model!r} is itself fine-tuned, so rank.runs cannot tune it"
    for index, sweep in enumerate(rank["runs"] or ()):
        for model in models[:1]:
            yield from check_sweep(
                f"rank.runs[{index}]", {"model": model, "runs": rank["runs"]}, sweep, config
            )
