"""Checks of fine-tuning runs that types cannot express: methods, units and rates against model and data set.

Every mistake is one line that names the key.
"""

from collections.abc import Iterator, Sequence

from nctransfer import variants
from nctransfer.config.configuration import StyleSectionSettings
from nctransfer.config.finetuning import FineTunedSettings, SweepSettings
from nctransfer.config.panels import (
    PanelSettings,
    RunsPanelSettings,
    SearchPanelSettings,
    TunedUnitsPanelSettings,
)
from nctransfer.config.references import Named, check_variant
from nctransfer.config.study import Study, describe
from nctransfer.errors import ConfigError
from nctransfer.finetuning import methods
from nctransfer.finetuning.method import method_facts
from nctransfer.models.settings import has_text_tower


def is_method(name: str) -> bool:
    """Whether there is a method of this name."""
    return name in variants.names(methods)


def check_sweep(where: str, model: str, sweep: SweepSettings, study: Study) -> Iterator[str]:
    """The methods of a sweep, and whether the model and the data set allow them."""
    rates = sweep.options.rates
    for network in ("convolutional", "transformer"):
        for method in getattr(rates, network):
            yield from check_variant(f"{where}.options.rates.{network}.{method}", methods, method)
    for method in sweep.methods:
        yield from _check_method(f"{where}.methods", method, model, bool(sweep.units), study)
    for units in sweep.tuned:
        yield from check_units(f"{where}.units", units, model, study)


def check_runs(where: str, kind: str, panel: RunsPanelSettings, study: Study) -> Iterator[str]:
    """What a kind of figure requires of a panel's runs; reported before the runs are computed."""
    used = [method for sweep in panel.runs for method in sweep.methods if is_method(method)]
    if kind == "collapse_by_unit":
        if idle := [method for method in used if not method_facts(method).trains]:
            yield f"{where}.runs: {idle[0]!r} tunes nothing, so kind {kind!r} cannot show it"
        for index, sweep in enumerate(panel.runs):
            if study.kept_units(panel.model, sweep.features) != "all":
                lacking = f"only the penultimate feature is kept, but kind {kind!r} shows those of all units"
                yield f"{where}.runs[{index}].features: {lacking}; set features: all"
    if isinstance(panel, SearchPanelSettings):
        dataset = study.configuration.datasets.get(panel.dataset)
        if dataset is not None and dataset.validation is None:
            yield (
                f"{where}.dataset: {panel.dataset!r} sets no validation, so kind {kind!r} would choose rates "
                "on its test split; name a data set that sets it: the number of training images to hold out"
            )
        for method in panel.published:
            yield from check_variant(f"{where}.published.{method}", methods, method)
    by_unit = isinstance(panel, TunedUnitsPanelSettings) and panel.abscissa == "unit"
    if kind == "tuned_unit_law":
        by_unit = True
        if len(set(used)) != 1 or not method_facts(used[0]).tunes_units:
            names = ", ".join(sorted(set(used)))
            yield f"{where}.runs: kind {kind!r} shows one method that tunes units, not {names}"
    if by_unit:
        for units in (units for sweep in panel.runs for units in sweep.tuned):
            if len(units) > 1:
                yield f"{where}.runs: kind {kind!r} shows units that are tuned one by one, not {list(units)}"


def check_titles(where: str, panels: Sequence[PanelSettings], style: StyleSectionSettings) -> Iterator[str]:
    """Titles of panels must differ: tables of runs name their columns or rows by them."""
    titles = [
        panel.title or f"{panel.model} on {style.title(panel.dataset)}"
        for panel in panels
        if isinstance(panel, RunsPanelSettings)
    ]
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        yield f"{where}.panels: two panels have the title {title!r}; give them titles that differ"


def check_finetuned(where: str, entry: FineTunedSettings, named: Named) -> Iterator[str]:
    """Check an entry of ``finetuned:``."""
    study = named.study
    yield from named.check(f"{where}.model", entry.model, "models")
    yield from named.check(f"{where}.dataset", entry.dataset, "datasets")
    tuned = entry.units or ()
    yield from _check_method(f"{where}.method", entry.method, entry.model, bool(tuned), study)
    yield from check_units(f"{where}.units", tuned, entry.model, study)
    if not is_method(entry.method):
        return
    facts = method_facts(entry.method)
    if tuned and not facts.tunes_units:
        yield f"{where}.units: method {entry.method!r} has no choice of units; leave it out"
    if not facts.trains:
        for name in ("per_class", "learning_rate", "weight_decay", "seed"):
            if getattr(entry, name):
                yield f"{where}.{name}: method {entry.method!r} trains nothing; leave it out"
        if entry.options.model_fields_set:
            yield f"{where}.options: method {entry.method!r} trains nothing; leave it out"


def _check_method(where: str, method: str, model: str, has_units: bool, study: Study) -> Iterator[str]:
    yield from check_variant(where, methods, method)
    if is_method(method) and method_facts(method).tunes_units and not has_units:
        yield f"{where}: {method!r} tunes units; name them in units"
    entry = study.models.get(model)
    if entry is None:
        return
    if entry.run is not None:
        yield f"{where}: model {model!r} is itself fine-tuned; name {entry.run.model!r}"
    elif method == "zero_shot" and not has_text_tower(entry.entry.source, entry.entry.network):
        yield f"{where}: model {model!r} has no text tower; zero_shot takes models of open_clip"


def check_units(where: str, units: Sequence[int], model: str, study: Study) -> Iterator[str]:
    """Compare units with the table of known models; options may change their number, which the job checks."""
    entry = study.models.get(model)
    if entry is None or entry.run is not None or entry.entry.unit_layout:
        return
    if set(entry.entry.build_options) - {"width"}:
        return
    try:
        last = describe(entry.entry).known.units
    except ConfigError:
        return  # reported where the model is checked
    for index in units:
        if index > last:
            yield f"{where}: {model!r} has no unit {index}; it has units 1 to {last}"
