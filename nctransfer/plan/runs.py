"""What a fine-tuning run is: its parts, its key, and what each method reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nctransfer.plan.documents import merge
from nctransfer.plan.training import augmentation_settings

PACKAGE = "nctransfer.finetuning.methods"


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
# What the training loop reads of `finetuning:` as it is.
PLAIN = (
    "epochs", "batch_size", "learning_rate_min", "warmup_epochs", "momentum", "precision", "channels_last",
    "evaluate_every",
)  # fmt: skip
SHARED = (*PLAIN, "statistics", "augmentation", "label_smoothing")
RATES = ("learning_rate", "weight_decay")


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
        options: what the method reads otherwise than the study's ``finetuning:`` says.
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
        said = [f"{name}{_text(value)}" for name, value in _leaves(self.options) if name != "statistics"]
        parts += said
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


def own_options(study: Mapping[str, Any], method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's options those that its method reads and that differ from the study's.

    So one training has one key, however it is asked for.

    Args:
        study: the ``finetuning:`` section.
        method: name of the method.
        options: what the run overrides.
    """
    read = (*SHARED, *method_facts(method).reads)
    own = _differing(study, {name: value for name, value in options.items() if name in read})
    whole = merge(study, own)
    # what a level does not read sets nothing apart, nor an alpha that is the rank
    if augmentation_settings(whole["augmentation"]) == augmentation_settings(study["augmentation"]):
        own.pop("augmentation", None)
    if own.get("alpha") == whole["rank"] and study["alpha"] is None:
        own.pop("alpha")
    return own


def _differing(study: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in options.items():
        there = study.get(name)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            if inner := _differing(there, value):
                found[name] = inner
        elif value != there:
            found[name] = value
    return found


def options_of(config: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """The complete ``finetuning:`` section as a run reads it."""
    return merge(config["finetuning"], run.options)


def run_key(config: Mapping[str, Any], run: Run) -> str:
    """Key of a run that a sweep asks for."""
    return run.key(options_of(config, run)["statistics"])


def zoo_key(run: str, features: str | None) -> str:
    """Key of a tuned model whose features are kept as a sweep says."""
    return run if features is None else f"{run}.{features}"


def kept_units(config: Mapping[str, Any], model: str | None, features: str | None = None) -> str:
    """Whose features are kept of a model, or of a run that says so: ``all`` units' or ``penultimate``."""
    entry: Mapping[str, Any] = config["models"].get(model, {})
    base = config["models"].get(entry["run"]["model"], {}) if "run" in entry else {}
    kept: str = features or entry.get("units") or base.get("units") or config["features"]["units"]
    return kept
