"""Fine-tuning runs: what one is, which runs a picture asks for, and what their jobs are told.

A run is a model, a data set, a method, its tuned units, rates and a seed. Figures and tables ask
for many at once, in sweeps; ``finetuned:`` names single ones. Each run has a key that says all
that sets it apart, so pictures that ask for the same run share it; and its key is that of a
model, so a tuned model is measured, probed and shown like any other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan.catalogue import common_name
from nctransfer.plan.documents import given, merge
from nctransfer.plan.families import UNSET
from nctransfer.plan.model_facts import ModelFacts, describe_model


@dataclass(frozen=True)
class MethodFacts:
    """A method as the plan sees it.

    Attributes:
        units: whether it tunes units that a run names.
        reads: options of ``finetuning:`` that it alone reads.
        trains: whether it trains at all.
    """

    units: bool
    reads: tuple[str, ...] = ()
    trains: bool = True


METHODS = {
    "lp": MethodFacts(units=False),
    "mlp": MethodFacts(units=False, reads=("hidden",)),
    "layer_ft": MethodFacts(units=True),
    "scl_ft": MethodFacts(units=True),
    "layer_lp": MethodFacts(units=True),
    "full_ft": MethodFacts(units=False),
    "layer_lora": MethodFacts(units=True, reads=("rank", "alpha")),
    "zero_shot": MethodFacts(units=False, trains=False),
}
# A method that is not listed here tunes units and is given everything.
UNKNOWN = MethodFacts(units=True, reads=("hidden", "rank", "alpha"))
PLAIN = (
    "epochs", "batch_size", "learning_rate_min", "warmup_epochs", "momentum", "precision", "channels_last",
    "evaluate_every",
)  # fmt: skip
RATES = ("learning_rate", "weight_decay")
# Options that no key repeats: one stands in it already, the other changes nothing of what is trained.
UNSAID = ("statistics", "evaluate_every")


def method_facts(method: str) -> MethodFacts:
    """What the plan knows of a method."""
    return METHODS.get(method, UNKNOWN)


@dataclass(frozen=True)
class Run:
    """One fine-tuning run.

    Attributes:
        model: key of the base model.
        dataset: key of the downstream data set.
        method: name of the method.
        units: the tuned units, from 1, ascending; empty where the method names none.
        per_class: training images a class, None for all.
        learning_rate, weight_decay: None where nothing trains.
        seed: index of the repetition, from 0.
        options: what differs from the study's ``finetuning:``.
    """

    model: str
    dataset: str
    method: str
    units: tuple[int, ...]
    per_class: int | None
    learning_rate: float | None
    weight_decay: float | None
    seed: int
    options: Mapping[str, Any]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> "Run":
        """The run behind an entry of ``models``."""
        return cls(**entry["run"] | {"units": tuple(entry["run"]["units"])})

    def key(self, statistics: str) -> str:
        """Name of the run: all that sets it apart.

        Args:
            statistics: the mode that it uses; the paper's own goes without saying.
        """
        parts = [self.model, self.dataset]
        parts += [f"{self.per_class}pc"] if self.per_class else []
        parts += [self.method]
        parts += ["u" + "-".join(map(str, self.units))] if self.units else []
        if self.learning_rate is None:
            return ".".join(parts)
        parts += [] if statistics == "update" else [statistics]
        parts += [f"{name}{_text(value)}" for name, value in _leaves(self.options) if name not in UNSAID]
        parts += [f"lr{self.learning_rate:g}", f"wd{self.weight_decay:g}", f"s{self.seed}"]
        return ".".join(parts)


def _leaves(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in sorted(options.items()):
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}-")
        else:
            yield f"{prefix}{name}", value


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


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
    options = sweep["options"]
    for method in sweep["methods"]:
        known = method_facts(method)
        shared = panel["model"], panel["dataset"], method
        if not known.trains:
            yield Run(*shared, (), None, None, None, 0, {})
            continue
        usual = rates(config, facts, method, options)
        for units, per_class, rate, decay, seed in product(
            [_tuned(entry) for entry in sweep["units"] or [()]] if known.units else [()],
            sweep["per_class"] or [None],
            sweep["learning_rates"] or [usual["learning_rate"]],
            sweep["weight_decays"] or [usual["weight_decay"]],
            range(sweep["seeds"] or config["finetuning"]["seeds"]),
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
    return Run(*shared, entry["per_class"], rate, decay, entry["seed"], entry["options"])


def zoo_key(run: str, features: str | None) -> str:
    """Key of a tuned model whose features are kept as a sweep says."""
    return run if features is None else f"{run}.{features}"


def run_key(config: Mapping[str, Any], run: Run) -> str:
    """Key of a run that a sweep asks for."""
    return run.key(options_of(config, run)["statistics"])


def options_of(config: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """The complete ``finetuning:`` section as a run reads it."""
    return merge(config["finetuning"], run.options)


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

    for key, entry in config["finetuned"].items():
        if _is_described(config, entry["model"]):
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


def _is_described(config: Mapping[str, Any], model: str) -> bool:
    """Whether a model is there and sound; other checks tell where not."""
    try:
        describe_model(config["models"][model])
    except (KeyError, ConfigError):
        return False
    return True


def _panels(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and contents of every panel that asks for runs of a model that is there."""
    for section in ("figures", "tables"):
        for key, picture in config[section].items():
            for index, panel in enumerate(picture["panels"]):
                if panel["runs"] and panel["dataset"] and _is_described(config, panel["model"]):
                    yield f"{section}.{key}.panels[{index}]", panel


def run_settings(
    config: Mapping[str, Any], key: str, run: Run, augmentation: Mapping[str, Any]
) -> dict[str, Any]:
    """What the configuration says to a run's job, less where it computes and its seeds.

    Args:
        config: the configuration.
        key: of the run.
        run: the run.
        augmentation: as the training loop reads it.
    """
    options, trains = options_of(config, run), method_facts(run.method).trains
    method = method_settings(config, run)
    if not trains:
        base = given(config["models"][run.model])
        base.pop("weights" if base["source"] == "local" else "", None)  # the file is an input
        method |= {"model": base, "data_set": common_name(given(config["datasets"][run.dataset]))}
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
        "training": _training(run, options, augmentation) if trains else None,
    }


def method_settings(config: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """What a run's method reads: its name, the tuned units, and options of its own."""
    options = options_of(config, run)
    read = {name: options[name] for name in method_facts(run.method).reads}
    return {"name": run.method, "units": list(run.units), **read}


def _training(run: Run, options: Mapping[str, Any], augmentation: Mapping[str, Any]) -> dict[str, Any]:
    """What the training loop reads."""
    return {
        **{name: options[name] for name in PLAIN},
        "learning_rate": run.learning_rate,
        "weight_decay": run.weight_decay,
        "augmentation": augmentation,
        "adversary": None,
        "compile": False,
        "snapshots": [],
    }
