"""Fine-tuning runs: which ones a configuration asks for, and their keys.

Figures and tables ask for many runs in sweeps; ``finetuned:`` names single ones. A run's key contains
everything that distinguishes it, so figures and tables that ask for the same run share it. The key is also
that of a model: a tuned model is measured, probed and shown like any other.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from nctransfer import variants
from nctransfer.catalog.model_facts import ModelFacts
from nctransfer.config.configuration import Configuration
from nctransfer.config.finetuning import FineTunedSettings, FineTuningSettings, RatesSettings, SweepSettings
from nctransfer.config.panels import RunsPanelSettings
from nctransfer.config.study import Derived, Model, Models, Run, Study, describe
from nctransfer.config.training import as_read, overridden, schedule_problems
from nctransfer.config.yaml_files import merge
from nctransfer.errors import ConfigError
from nctransfer.features.settings import KeptUnits
from nctransfer.finetuning import methods
from nctransfer.finetuning.method import method_facts

# Options that every training method reads.
SHARED = (
    "epochs", "batch_size", "learning_rate_min", "warmup_epochs", "momentum", "precision", "channels_last",
    "evaluate_every", "statistics", "augmentation", "label_smoothing",
)  # fmt: skip


def network_rates(
    finetuning: FineTuningSettings, facts: ModelFacts
) -> tuple[str, Mapping[str, RatesSettings]]:
    """The kind of a network (convolutional if units output feature maps, else transformer) and its rates."""
    network = "convolutional" if "avg" in facts.known.poolings else "transformer"
    return network, getattr(finetuning.rates, network)


def rates(finetuning: FineTuningSettings, facts: ModelFacts, method: str) -> RatesSettings:
    """Rates of a method on a kind of network; ConfigError if the section has none for it."""
    network, table = network_rates(finetuning, facts)
    if method not in table:
        raise ConfigError(f"finetuning.rates.{network}.{method}: missing; there are: {', '.join(table)}")
    return table[method]


def with_options(finetuning: FineTuningSettings, options: FineTuningSettings) -> FineTuningSettings:
    """The section ``finetuning:`` overridden by a run's options; tables of rates are merged by method."""
    merged = overridden(finetuning, options)
    if "rates" not in options.model_fields_set:
        return merged
    networks = {
        network: {**getattr(finetuning.rates, network), **getattr(options.rates, network)}
        for network in ("convolutional", "transformer")
    }
    return merged.model_copy(update={"rates": finetuning.rates.model_copy(update=networks)})


def expand(
    configuration: Configuration, models: Models, panel: RunsPanelSettings
) -> Iterator[tuple[Run, KeptUnits | None]]:
    """Runs of a panel, each with its features to keep; ConfigError for an unknown model, or without rates."""
    facts = describe(models[panel.model].entry)
    for sweep in panel.runs:
        for run in _sweep(configuration.finetuning, facts, panel, sweep):
            yield run, sweep.features


def _sweep(
    finetuning: FineTuningSettings, facts: ModelFacts, panel: RunsPanelSettings, sweep: SweepSettings
) -> Iterator[Run]:
    """One run per combination; lists that a method does not use give one run."""
    section = with_options(finetuning, sweep.options)
    for method in sweep.methods:
        if method not in variants.names(methods):
            continue  # reported by other checks
        facts_of_method, options = method_facts(method), own_options(finetuning, method, sweep.options)
        shared = panel.model, panel.dataset, method
        if not facts_of_method.trains:
            yield Run(*shared, (), None, None, None, 0, {})
            continue
        default = rates(section, facts, method)
        for units, per_class, rate, decay, seed in product(
            (sweep.tuned or [()]) if facts_of_method.tunes_units else [()],
            sweep.per_class or [None],
            sweep.learning_rates or [default.learning_rate],
            sweep.weight_decays or [default.weight_decay],
            range(sweep.seeds or section.seeds),
        ):
            yield Run(*shared, units, per_class, rate, decay, seed, options)


def run_of(configuration: Configuration, models: Models, entry: FineTunedSettings) -> Run:
    """The run of an entry of ``finetuned:``; ConfigError for an unknown model, or a method without rates."""
    shared = entry.model, entry.dataset, entry.method, tuple(sorted(entry.units or ()))
    if not method_facts(entry.method).trains:
        return Run(*shared, None, None, None, 0, {})
    section = with_options(configuration.finetuning, entry.options)
    default = rates(section, describe(models[entry.model].entry), entry.method)
    return Run(
        *shared,
        entry.per_class,
        default.learning_rate if entry.learning_rate is None else entry.learning_rate,
        default.weight_decay if entry.weight_decay is None else entry.weight_decay,
        entry.seed,
        own_options(configuration.finetuning, entry.method, entry.options),
    )


def own_options(study: FineTuningSettings, method: str, options: FineTuningSettings) -> dict[str, Any]:
    """Options of a run, however it is asked for, that its method reads and that differ from the study's."""
    read = {*SHARED, *method_facts(method).options}
    defaults = study.model_dump(mode="json")
    overrides = options.model_dump(mode="json", exclude_unset=True)
    own = _differing(defaults, {name: value for name, value in overrides.items() if name in read})
    section = FineTuningSettings.read(merge(defaults, own))
    # options that the augmentation level does not read, and an alpha equal to the rank, change nothing
    if as_read(section.augmentation) == as_read(study.augmentation):
        own.pop("augmentation", None)
    if own.get("alpha") == section.rank and study.alpha is None:
        own.pop("alpha")
    return own


def _differing(defaults: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that differ from their defaults, at every depth."""
    own: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Mapping) and isinstance(defaults.get(name), Mapping):
            if inner := _differing(defaults[name], value):
                own[name] = inner
        elif value != defaults.get(name):
            own[name] = value
    return own


def options_of(study: FineTuningSettings, run: Run) -> FineTuningSettings:
    """The complete ``finetuning:`` section of a run."""
    return overridden(study, FineTuningSettings.read(run.options))


def run_key(study: FineTuningSettings, run: Run) -> str:
    """Key of a run: everything that distinguishes it, except the paper's mode of statistics."""
    parts = [run.model, run.dataset]
    parts += [f"{run.per_class}pc"] if run.per_class else []
    parts += [run.method]
    parts += ["u" + "-".join(map(str, run.units))] if run.units else []
    if run.learning_rate is None:
        return ".".join(parts)
    statistics = options_of(study, run).statistics
    parts += [] if statistics == "update" else [statistics]
    for name, value in _leaves(run.options):
        if name != "statistics":
            parts.append(name + (f"{value:g}" if isinstance(value, float) else str(value).lower()))
    parts += [f"lr{run.learning_rate:g}", f"wd{run.weight_decay:g}", f"s{run.seed}"]
    return ".".join(parts)


def model_key(run: str, features: KeptUnits | None) -> str:
    """Key of the tuned model: the run's key, with the features to keep if the run chooses them."""
    return run if features is None else f"{run}.{features}"


def _leaves(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in sorted(options.items()):
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}-")
        else:
            yield f"{prefix}{name}", value


def derive_tuned(
    configuration: Configuration, models: Models, panels: Iterable[tuple[str, RunsPanelSettings]]
) -> Derived:
    """A model, by key, for every named run and every run of these panels; one line per new mistake."""
    tuned: dict[str, Model] = {}
    mistakes: list[str] = []

    def add(key: str, run: Run, store: str, features: KeptUnits | None, where: str) -> None:
        if key in models:
            mistakes.append(f"{where}: {key!r} is also the key of another model; rename one of them")
            return
        model = Model(models[run.model].entry, run=run, store=store, kept=features)
        if tuned.setdefault(key, model) != model:
            mistakes.append(f"{where}: {key!r} is also the key of another run; rename one of its parts")
        mistakes.extend(_rate_mistakes(configuration.finetuning, run, where))

    for key, entry in configuration.finetuned.items():
        if is_described(models, entry.model) and entry.method in variants.names(methods):
            try:
                add(key, run_of(configuration, models, entry), key, entry.features, f"finetuned.{key}")
            except ConfigError as error:
                mistakes.append(str(error))
    for where, panel in panels:
        try:
            for run, features in expand(configuration, models, panel):
                store = run_key(configuration.finetuning, run)
                for kept in dict.fromkeys((None, features)):
                    add(model_key(store, kept), run, store, kept, where)
        except ConfigError as error:
            mistakes.append(str(error))
    return tuned, sorted(set(mistakes))


def is_described(models: Models, model: str) -> bool:
    """Whether a model exists, is valid and is not itself fine-tuned."""
    try:
        describe(models[model].entry)
    except (KeyError, ConfigError):
        return False
    return models[model].run is None


def _rate_mistakes(finetuning: FineTuningSettings, run: Run, where: str) -> Iterator[str]:
    """A cosine schedule that rises, or a warm-up that leaves it no epoch."""
    if run.learning_rate is None:
        return
    options, rate = options_of(finetuning, run), run.learning_rate
    schedule = options.epochs, options.warmup_epochs, rate, options.learning_rate_min
    for key, message in schedule_problems(*schedule):
        yield f"{where}: method {run.method!r}, {key}: {message}"


def study_runs(study: Study, panel: RunsPanelSettings) -> Iterator[tuple[Run, KeptUnits | None]]:
    """The runs that a panel asks for in a study, see :func:`expand`."""
    yield from expand(study.configuration, study.models, panel)
