"""Diagrams of a model's units: what a configuration may ask for, and what the figures' jobs are told.

Nothing is trained or measured for them: they read the list of units that the job ``model`` writes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.plan import kinds, runs
from nctransfer.plan.documents import given
from nctransfer.plan.names import check_variant
from nctransfer.plan.run_checks import check_units
from nctransfer.plan.set_sizes import class_count


def check_diagram(
    where: str, kind: str, panel: Mapping[str, Any], config: Mapping[str, Any]
) -> Iterator[str]:
    """A panel that shows a model's units: a model whose units are listed, and what a method does to them."""
    facts = kinds.facts(kind)
    if panel["units"] is not None and panel["method"] is None and facts.panel != "method":
        yield f"{where}.units: has no meaning for a panel without method"
    if facts.reads != "units":
        return
    for field in ("pooling",) if facts.names_dataset else ("pooling", "dataset"):
        if panel[field] is not None:
            yield f"{where}.{field}: has no meaning for kind {kind!r}"
    entry = config["models"].get(panel["model"], {})
    if "run" in entry:
        yield f"{where}.model: {panel['model']!r} is a fine-tuned model; name {entry['run']['model']!r}"
    method, units = panel["method"], panel["units"] or []
    if method is None:
        return
    yield from check_variant(f"{where}.method", runs.PACKAGE, method)
    known = runs.method_facts(method)
    if not known.trains:
        yield f"{where}.method: {method!r} trains nothing, so kind {kind!r} has nothing to show of it"
    elif method in runs.METHODS and known.units and not units:
        yield f"{where}.method: {method!r} tunes units; name them in units"
    elif units and not known.units:
        yield f"{where}.units: method {method!r} tunes no units of one's choice; leave it out"
    yield from check_units(f"{where}.units", units, panel["model"], config)


def diagram_settings(config: Mapping[str, Any], panel: Mapping[str, Any]) -> dict[str, Any]:
    """What a panel of a diagram shows: a model, and of a tuning diagram the method and the classifier."""
    dataset, method = panel["dataset"], panel["method"]
    read = runs.method_facts(method).reads if method else ()
    return {
        "title": panel["title"],
        "model": panel["model"],
        "method": method,
        "units": sorted(panel["units"] or ()),
        "dataset": dataset and config["style"]["titles"].get(dataset, dataset),
        "classes": dataset and class_count(given(config["datasets"][dataset])),
        "hidden": config["finetuning"]["hidden"] if "hidden" in read else None,
    }
