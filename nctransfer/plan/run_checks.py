"""What a JSON schema cannot say of fine-tuning runs: methods, units and rates against model and data set.

Every mistake is one line that names the key.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import runs
from nctransfer.plan.model_facts import describe_model
from nctransfer.plan.names import check_reference, check_variant, of_refused_family
from nctransfer.plan.text_towers import has_text_tower


def check_sweep(
    where: str, panel: Mapping[str, Any], sweep: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[str]:
    """A panel's runs: their methods, and whether the model and the data set allow them."""
    for network, methods in sweep["options"].get("rates", {}).items():
        for method in methods:
            yield from check_variant(f"{where}.options.rates.{network}.{method}", runs.PACKAGE, method)
    tuned = sweep["units"] or []
    for method in sweep["methods"]:
        yield from _check_method(f"{where}.methods", method, panel["model"], bool(tuned), config)
    for units in tuned:
        listed = [units] if isinstance(units, int) else units
        yield from check_units(f"{where}.units", listed, panel["model"], config)


def check_kind(where: str, kind: str, panel: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """What a kind of picture needs of a panel's runs; better told now than after all of them."""
    if kind == "collapse_by_unit":
        idle = [
            method
            for sweep in panel["runs"]
            for method in sweep["methods"]
            if not runs.method_facts(method).trains
        ]
        if idle:
            yield f"{where}.runs: {idle[0]!r} tunes nothing, so kind {kind!r} has nothing to show of it"
        for index, sweep in enumerate(panel["runs"]):
            if runs.kept_units(config, panel["model"], sweep["features"]) != "all":
                yield (
                    f"{where}.runs[{index}].features: only the penultimate feature is kept, but kind "
                    f"{kind!r} shows all units'; set features: all"
                )
    if kind == "tuned_unit_law":
        methods = sorted({method for sweep in panel["runs"] for method in sweep["methods"]})
        if len(methods) != 1 or not runs.method_facts(methods[0]).units:
            yield f"{where}.runs: kind {kind!r} shows one method that tunes units, not {', '.join(methods)}"
    if kind == "tuned_unit_law" or panel["abscissa"] == "unit":
        for units in (units for sweep in panel["runs"] for units in sweep["units"] or ()):
            if isinstance(units, list) and len(units) > 1:
                yield f"{where}.runs: kind {kind!r} shows units that are tuned one by one, not {units}"


def check_titles(where: str, panels: list[Mapping[str, Any]], config: Mapping[str, Any]) -> Iterator[str]:
    """Tables of runs name their columns or rows by the panels' titles."""
    shown, named = [panel for panel in panels if panel["runs"]], config["style"]["titles"]
    datasets = [named.get(panel["dataset"], panel["dataset"]) for panel in shown]
    titles = [
        panel["title"] or f"{panel['model']} on {dataset}"
        for panel, dataset in zip(shown, datasets, strict=True)
    ]
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        yield f"{where}.panels: two panels are called {title!r}; give them titles that differ"


def check_finetuned(
    where: str, entry: Mapping[str, Any], config: Mapping[str, Any], named: Mapping[str, Any]
) -> Iterator[str]:
    """An entry of ``finetuned:``."""
    if not of_refused_family(entry["model"], config, named):
        yield from check_reference(f"{where}.model", entry["model"], "models", named)
    yield from check_reference(f"{where}.dataset", entry["dataset"], "datasets", named)
    tuned = entry["units"] or []
    yield from _check_method(f"{where}.method", entry["method"], entry["model"], bool(tuned), config)
    if tuned and not runs.method_facts(entry["method"]).units:
        yield f"{where}.units: method {entry['method']!r} tunes no units of one's choice; leave it out"
    yield from check_units(f"{where}.units", tuned, entry["model"], config)
    if not runs.method_facts(entry["method"]).trains:
        for name in ("per_class", "learning_rate", "weight_decay", "seed", "options"):
            if entry[name]:
                yield f"{where}.{name}: method {entry['method']!r} trains nothing; leave it out"


def _check_method(
    where: str, method: str, model: str | None, tuned: bool, config: Mapping[str, Any]
) -> Iterator[str]:
    yield from check_variant(where, runs.PACKAGE, method)
    if runs.method_facts(method).units and method in runs.METHODS and not tuned:
        yield f"{where}: {method!r} tunes units; name them in units"
    entry = config["models"].get(model)
    if entry is None:
        return
    if "run" in entry:
        yield f"{where}: model {model!r} is itself fine-tuned; name {entry['run']['model']!r}"
    elif method == "zero_shot" and not has_text_tower(
        entry["source"], entry["name"] or entry["architecture"]
    ):
        yield f"{where}: model {model!r} has no text tower; zero_shot takes models of open_clip"


def check_units(where: str, units: list[int], model: str | None, config: Mapping[str, Any]) -> Iterator[str]:
    """Units against the table of known models; options may change their number, which the job sees."""
    entry = config["models"].get(model)
    if entry is None or "run" in entry or set(entry["options"]) - {"width"} or entry["family"]:
        return
    try:
        last = describe_model(entry).known.units
    except (ConfigError, KeyError):
        return  # reported where the model is checked
    for index in units:
        if index > last:
            yield f"{where}: {model!r} has no unit {index}; it has units 1 to {last}"
