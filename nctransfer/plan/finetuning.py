"""Fine-tuning runs: which ones a configuration asks for, and what their jobs are told.

Figures and tables ask for many at once, in sweeps; ``finetuned:`` names single ones. Each run has
a key that says all that sets it apart, so pictures that ask for the same run share it; and its key
is that of a model, so a tuned model is measured, probed and shown like any other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import product
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import ranking, variants
from nctransfer.plan.catalogue import common_name
from nctransfer.plan.documents import given, merge
from nctransfer.plan.families import UNSET
from nctransfer.plan.model_facts import ModelFacts, describe_model
from nctransfer.plan.runs import (
    PACKAGE,
    PLAIN,
    RATES,
    Run,
    method_facts,
    options_of,
    own_options,
    run_key,
    zoo_key,
)
from nctransfer.plan.training import augmentation_settings, schedule_problems


def is_convolutional(facts: ModelFacts) -> bool:
    """Whether a model's units leave maps; the others are transformers (Table 4's two families)."""
    return "avg" in facts.known.poolings


def rates(
    config: Mapping[str, Any], facts: ModelFacts, method: str, options: Mapping[str, Any]
) -> dict[str, float]:
    """Learning rate and weight decay that the study uses for a method on a kind of network.

    Raises:
        ConfigError: none are given for it.
    """
    kind = "convolutional" if is_convolutional(facts) else "transformer"
    table = merge(config["finetuning"], options)["rates"][kind]
    if method not in table:
        raise ConfigError(f"finetuning.rates.{kind}.{method}: missing; there are: {', '.join(table)}")
    return {name: table[method][name] for name in RATES}


def expand(config: Mapping[str, Any], panel: Mapping[str, Any]) -> Iterator[tuple[Run, str | None]]:
    """The runs that a panel asks for, each with what is kept of its features.

    Raises:
        ConfigError: a model that is not known, or no rates for a method.
    """
    facts = describe_model(config["models"][panel["model"]])
    for sweep in panel["runs"]:
        for run in _sweep(config, facts, panel, sweep):
            yield run, sweep["features"]


def _sweep(
    config: Mapping[str, Any], facts: ModelFacts, panel: Mapping[str, Any], sweep: Mapping[str, Any]
) -> Iterator[Run]:
    """One run for every combination; what a method has no use for it runs through once."""
    for method in sweep["methods"]:
        if method not in variants.names(PACKAGE):
            continue  # other checks tell
        known, options = method_facts(method), own_options(config["finetuning"], method, sweep["options"])
        shared = panel["model"], panel["dataset"], method
        if not known.trains:
            yield Run(*shared, (), None, None, None, 0, {})
            continue
        usual = rates(config, facts, method, sweep["options"])
        for units, per_class, rate, decay, seed in product(
            [_tuned(entry) for entry in sweep["units"] or [()]] if known.units else [()],
            sweep["per_class"] or [None],
            sweep["learning_rates"] or [usual["learning_rate"]],
            sweep["weight_decays"] or [usual["weight_decay"]],
            range(sweep["seeds"] or sweep["options"].get("seeds") or config["finetuning"]["seeds"]),
        ):
            yield Run(*shared, units, per_class, rate, decay, seed, options)


def _tuned(entry: int | list[int]) -> tuple[int, ...]:
    return (entry,) if isinstance(entry, int) else tuple(sorted(entry))


def named(config: Mapping[str, Any], entry: Mapping[str, Any]) -> Run:
    """The run of an entry of ``finetuned:``.

    Raises:
        ConfigError: a model that is not known, or no rates for its method.
    """
    known = method_facts(entry["method"])
    units = tuple(sorted(entry["units"] or ()))
    shared = entry["model"], entry["dataset"], entry["method"], units
    if not known.trains:
        return Run(*shared, None, None, None, 0, {})
    facts = describe_model(config["models"][entry["model"]])
    usual = rates(config, facts, entry["method"], entry["options"])
    rate, decay = (usual[name] if entry[name] is None else entry[name] for name in RATES)
    options = own_options(config["finetuning"], entry["method"], entry["options"])
    return Run(*shared, entry["per_class"], rate, decay, entry["seed"], options)


def derive(config: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Entries of ``models`` for every run that is named or asked for, by key.

    Returns:
        the entries, and a line for every mistake that keeps some from being derived; what other checks
        tell (names that are not there) is passed over.
    """
    models: dict[str, dict[str, Any]] = {}
    mistakes: list[str] = []

    def add(key: str, run: Run, store: str, features: str | None, where: str) -> None:
        if key in config["models"]:
            mistakes.append(f"{where}: {key!r} is also the key of another model; rename one of them")
            return
        entry = {
            **UNSET, "source": "finetuning", "architecture": None, "options": {}, "dataset": None,
            "family": None, "size": None, "poolings": None, "training": {}, "units": features,
            "run": asdict(run), "store": store,
        }  # fmt: skip
        if models.setdefault(key, entry) != entry:
            mistakes.append(f"{where}: {key!r} is also the key of another run; rename one of its parts")
        mistakes.extend(_rate_mistakes(config, run, where))

    for key, entry in config["finetuned"].items():
        if _is_described(config, entry["model"]) and entry["method"] in variants.names(PACKAGE):
            try:
                add(key, named(config, entry), key, entry["features"], f"finetuned.{key}")
            except ConfigError as error:
                mistakes.append(str(error))
    for where, panel in _panels(config):
        try:
            for run, features in expand(config, panel):
                store = run_key(config, run)
                for kept in dict.fromkeys((None, features)):
                    add(zoo_key(store, kept), run, store, kept, where)
        except ConfigError as error:
            mistakes.append(str(error))
    return models, sorted(set(mistakes))


def _rate_mistakes(config: Mapping[str, Any], run: Run, where: str) -> Iterator[str]:
    """A cosine that rises, or for which the warm-up leaves no epoch."""
    if run.learning_rate is None:
        return
    schedule = options_of(config, run) | {"learning_rate": run.learning_rate}
    for key, message in schedule_problems(schedule):
        yield f"{where}: method {run.method!r}, {key}: {message}"


def _is_described(config: Mapping[str, Any], model: str) -> bool:
    """Whether a model is there and sound; other checks tell where not."""
    try:
        describe_model(config["models"][model])
    except (KeyError, ConfigError):
        return False
    return True


def _panels(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and contents of every panel that asks for runs of a model that is there, rankings' too."""
    for section in ("figures", "tables"):
        for key, picture in config[section].items():
            for index, panel in enumerate(picture["panels"]):
                if panel["runs"] and panel["dataset"] and _is_described(config, panel["model"]):
                    yield f"{section}.{key}.panels[{index}]", panel
    for where, panel in ranking.panels(config):
        if panel["dataset"] in config["datasets"] and _is_described(config, panel["model"]):
            yield where, panel


def run_settings(config: Mapping[str, Any], key: str, run: Run) -> dict[str, Any]:
    """What the configuration says to the job of the run of this key, less where it computes and its seeds."""
    options, trains = options_of(config, run), method_facts(run.method).trains
    method = method_settings(config, run)
    if not trains:
        base = given(config["models"][run.model])
        read = {"source", "name", "architecture", "options"}
        read |= set() if base["source"] == "local" else {"weights"}  # a local file is an input
        chosen = {name: value for name, value in base.items() if name in read}
        method |= {"model": chosen, "data_set": common_name(given(config["datasets"][run.dataset]))}
    return {
        "names": {
            "run": key,
            "model": run.model,
            "dataset": run.dataset,
            "method": run.method,
            "units": " ".join(map(str, run.units)),
            "per_class": run.per_class,
            "learning_rate": run.learning_rate,
            "weight_decay": run.weight_decay,
            "seed": run.seed,
        },
        "method": method,
        "statistics": options["statistics"] if trains else "frozen",
        "per_class": run.per_class,
        "loss": {"label_smoothing": options["label_smoothing"]},
        "training": _training(run, options) if trains else None,
    }


def method_settings(config: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """What a run's method reads: its name, the tuned units, and options of its own."""
    options = options_of(config, run)
    read = {name: options[name] for name in method_facts(run.method).reads}
    return {"name": run.method, "units": list(run.units), **read}


def _training(run: Run, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the training loop reads."""
    return {
        **{name: options[name] for name in PLAIN},
        "learning_rate": run.learning_rate,
        "weight_decay": run.weight_decay,
        "augmentation": augmentation_settings(options["augmentation"]),
        "adversary": None,
        "compile": False,
        "snapshots": [],
    }
