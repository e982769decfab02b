"""The section ``rank:``: which models are ranked on which data sets, and the resulting figures and tables.

A model is given by its key, by a group of a family, or as ``library/name`` (``library/name:weights``). The
latter adds a model that uses its library's own image transform.
"""

import math
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from nctransfer.catalog.known_models import lookup
from nctransfer.config import csv_files
from nctransfer.config.configuration import Configuration
from nctransfer.config.models import LIBRARIES, LibraryModelSettings
from nctransfer.config.panels import RunsPanelSettings
from nctransfer.config.study import Derived, Model, Models, Study, group_members
from nctransfer.errors import ConfigError
from nctransfer.suggestions import suggestion
from nctransfer.transferability.settings import MeasuredAccuracies

KINDS = {"figures": {"": "ranking", "-units": "ranking_units"}, "tables": {"": "ranking"}}


def ranked_models(configuration: Configuration, models: Models) -> list[str]:
    """Keys of the ranked models, each once, groups replaced by their members."""
    groups, own = group_members(configuration), own_keys(configuration, models)
    names: dict[str, None] = {}
    for name in configuration.rank.models:
        if name in groups and name not in models:
            names |= dict.fromkeys(groups[name].values())
        else:
            names[own.get(name, name)] = None
    return list(names)


def derive_ranked(configuration: Configuration, models: Models) -> Derived:
    """Models that ``rank.models`` lists as ``library/name``, by key, and one line per mistake."""
    ranked: dict[str, Model] = {}
    mistakes: list[str] = []
    for name, key in own_keys(configuration, models).items():
        library, _, name_and_weights = name.partition("/")
        model, _, weights = name_and_weights.partition(":")
        if library not in LIBRARIES:
            continue  # reported by other checks
        try:
            lookup(library, model, weights or None)
        except ConfigError as error:
            mistakes.append(f"rank.models: {name!r}: {error}")
            continue
        values = {"source": library, "name": model, "preprocess": "native", "weights": weights or None}
        ranked[key] = Model(LibraryModelSettings.read(values), ranked_as=name)
    return ranked, mistakes


def own_keys(configuration: Configuration, models: Models) -> dict[str, str]:
    """Keys of the models listed as ``library/name``: the name, prefixed by the library if it is taken."""
    keys: dict[str, str] = {}
    for name in configuration.rank.models:
        library, slash, name_and_weights = name.partition("/")
        if slash:
            key = re.sub(r"[^A-Za-z0-9._-]", ".", name_and_weights)
            taken = key in models and models[key].ranked_as != name
            keys[name] = f"{library}-{key}" if taken or key in keys.values() else key
    return keys


def picture_keys(configuration: Configuration, section: str) -> list[str]:
    """Keys of the figures or tables of the rankings."""
    return [f"rank-{dataset}{end}" for dataset in configuration.rank.datasets for end in KINDS[section]]


def ranking_pictures(configuration: Configuration) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Figures and tables of every ranking by section and key, as configured; and a line per key in use."""
    pictures: dict[str, dict[str, Any]] = {section: {} for section in KINDS}
    mistakes: list[str] = []
    for dataset, (section, kinds) in product(dict.fromkeys(configuration.rank.datasets), KINDS.items()):
        for end, kind in kinds.items():
            key = f"rank-{dataset}{end}"
            if key in configuration.pictures(section) or key in pictures[section]:
                mistakes.append(f"{section}.{key}: is also the key of a ranking's picture; rename it")
            pictures[section][key] = {"kind": kind, "panels": [{"rank": dataset}]}
    return pictures, mistakes


def runs_panel(configuration: Configuration, model: str, dataset: str) -> RunsPanelSettings | None:
    """The fine-tuning runs of a model with which a ranking is compared, as a panel."""
    sweeps = configuration.rank.runs
    return RunsPanelSettings(model=model, dataset=dataset, runs=sweeps) if sweeps else None


def runs_panels(configuration: Configuration, models: Models) -> Iterator[tuple[str, RunsPanelSettings]]:
    """Configuration path and panel of all fine-tuning runs with which rankings are compared."""
    for dataset in configuration.rank.datasets:
        for model in ranked_models(configuration, models):
            if panel := runs_panel(configuration, model, dataset):
                yield "rank.runs", panel


def measured_accuracies(study: Study, dataset: str) -> MeasuredAccuracies | None:
    """Accuracies (%) of the ranked models on a data set from ``rank.measured``, None without such a file.

    Raises:
        ConfigError: the file is missing or is not such a table, a model is listed twice, an accuracy is not a
            number from 0 to 100, or the file has no ranked model on this data set.
    """
    if study.configuration.rank.measured is None:
        return None
    path = Path(study.configuration.rank.measured).expanduser()
    rows = csv_files.read(path, "rank.measured", ("dataset", "model", "accuracy"))
    models = ranked_models(study.configuration, study.models)
    accuracies: dict[str, float] = {}
    for row in rows:
        model = row["model"]
        if row["dataset"] != dataset or model not in models:
            continue
        if model in accuracies:
            raise ConfigError(f"rank.measured: {path}: {model} on {dataset} is listed more than once")
        accuracies[model] = _percentage(path, row)
    if not accuracies:
        datasets = sorted({row["dataset"] for row in rows})
        raise ConfigError(
            f"rank.measured: {path}: no accuracy of any ranked model on {dataset!r}"
            f"{suggestion(dataset, datasets)}; it has data sets: {', '.join(datasets)}"
        )
    if all(0 < value <= 1 for value in accuracies.values()):
        shares = f"accuracies of {dataset} are shares; they must be percentages"
        raise ConfigError(f"rank.measured: {path}: {shares}")
    return MeasuredAccuracies(name=path.stem, accuracies=accuracies)


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
