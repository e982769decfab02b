"""What a JSON schema cannot say of fine-tuning runs: methods, units and rates against model and data set.

Every mistake is one line that names the key.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.errors import ConfigError
from nctransfer.plan import documents, finetuning
from nctransfer.plan.model_facts import describe_model
from nctransfer.plan.names import check_reference, check_variant, of_refused_family
from nctransfer.plan.text_towers import has_text_tower


def check_sweep(
    where: str, panel: Mapping[str, Any], sweep: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[str]:
    """A panel's runs: their methods, and whether the model and the data set allow them."""
    tuned = sweep["units"] or []
    for method in sweep["methods"]:
        yield from _check_method(f"{where}.methods", method, panel["model"], bool(tuned), config)
    for units in tuned:
        listed = [units] if isinstance(units, int) else units
        yield from _check_units(f"{where}.units", listed, panel["model"], config)
    yield from _check_rates(where, sweep["options"], sweep["learning_rates"] or (), config)


def check_finetuned(
    where: str, entry: Mapping[str, Any], config: Mapping[str, Any], named: Mapping[str, Any]
) -> Iterator[str]:
    """An entry of ``finetuned:``."""
    if not of_refused_family(entry["model"], config, named):
        yield from check_reference(f"{where}.model", entry["model"], "models", named)
    yield from check_reference(f"{where}.dataset", entry["dataset"], "datasets", named)
    tuned = entry["units"] or []
    yield from _check_method(f"{where}.method", entry["method"], entry["model"], bool(tuned), config)
    if tuned and not finetuning.method_facts(entry["method"]).units:
        yield f"{where}.units: method {entry['method']!r} tunes no units of one's choice; leave it out"
    yield from _check_units(f"{where}.units", tuned, entry["model"], config)
    rate = entry["learning_rate"]
    yield from _check_rates(where, entry["options"], [rate] if rate else (), config)


def _check_method(
    where: str, method: str, model: str | None, tuned: bool, config: Mapping[str, Any]
) -> Iterator[str]:
    yield from check_variant(where, "nctransfer.finetuning.methods", method)
    if finetuning.method_facts(method).units and method in finetuning.METHODS and not tuned:
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


def _check_units(where: str, units: list[int], model: str | None, config: Mapping[str, Any]) -> Iterator[str]:
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


def _check_rates(
    where: str, options: Mapping[str, Any], learning_rates: Any, config: Mapping[str, Any]
) -> Iterator[str]:
    """What the learning rate falls to, against those that runs of these options begin with."""
    whole = documents.merge(config["finetuning"], options)
    if whole["warmup_epochs"] >= whole["epochs"]:
        yield (
            f"{where}.options.warmup_epochs: {whole['warmup_epochs']} leaves nothing of "
            f"{whole['epochs']} epochs for the cosine"
        )
    for rate in learning_rates:
        if rate < whole["learning_rate_min"]:
            yield f"{where}: learning rate {rate:g} is below learning_rate_min {whole['learning_rate_min']:g}"
    for kind, methods in whole["rates"].items():
        for method, pair in methods.items():
            if pair["learning_rate"] < whole["learning_rate_min"]:
                yield (
                    f"finetuning.rates.{kind}.{method}.learning_rate: {pair['learning_rate']:g} is below "
                    f"learning_rate_min {whole['learning_rate_min']:g}"
                )
