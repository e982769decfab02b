"""What figures and tables show: from panels of the configuration to the tidy tables they read."""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.plan import finetuning, kinds, runs
from nctransfer.plan.diagrams import diagram_settings
from nctransfer.plan.documents import merge
from nctransfer.plan.families import group_members, snapshot_key
from nctransfer.plan.readings import Readings
from nctransfer.plan.stages import Stages
from nctransfer.plan.training import keeps_classifier, snapshot_epochs


def resolve(plan: Stages, panel: Mapping[str, Any], kind: str, readings: Readings) -> dict[str, Any]:
    """What a panel shows, and note what it reads.

    Args:
        plan: the plan.
        panel: a panel of the configuration.
        kind: of the figure or table.
        readings: the tables of the whole picture, added to.
    """
    if panel["rank"] is not None:
        return _ranking(plan, panel, readings)
    if panel["runs"] is not None:
        return _runs(plan, panel, kind, readings)
    reads = kinds.facts(kind).reads
    if reads == "units":
        readings.units(panel["model"])
        return diagram_settings(plan.config, panel)
    if reads == "episodes":
        return _episodes(plan, panel, readings)
    if panel["series"] is not None:
        return _points(plan, panel, readings)
    if panel["datasets"] is not None:
        return _datasets(plan, panel, readings)
    if reads == "snapshots":
        return _snapshots(plan, panel, readings)
    return _units(plan, panel, readings)


def shown(plan: Stages) -> Iterator[tuple[str, str]]:
    """Model and view of everything whose transfer accuracy a figure or table shows."""
    for section in ("figures", "tables"):
        for picture in plan.config[section].values():
            for panel in picture["panels"]:
                probed = panel["runs"] is None and kinds.facts(picture["kind"]).reads == "probes"
                if panel["dataset"] is not None and probed:
                    for model in [panel["model"]] if panel["model"] else _models(plan, panel):
                        yield model, plan.view(model, panel["dataset"]).key
                for dataset in panel["datasets"] or ():
                    yield panel["model"], plan.view(panel["model"], dataset).key


def _models(plan: Stages, panel: Mapping[str, Any]) -> list[str]:
    return [model for series in panel["series"] for model in _labelled(plan, series).values()]


def _labelled(plan: Stages, series: Mapping[str, Any]) -> dict[str, str]:
    models: dict[str, str] = series["models"] or group_members(plan.config)[series["group"]]
    return models


def _title(plan: Stages, dataset: str) -> str:
    title: str = plan.config["style"]["titles"].get(dataset, dataset)
    return title


def _units(plan: Stages, panel: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    model, view = panel["model"], plan.view(panel["model"], panel["dataset"]).key
    readings.metrics(model, view)
    readings.probes(model, view)
    return {
        "model": model,
        "view": view,
        "pooling": panel["pooling"] or plan.facts(model).poolings[0],
        "title": panel["title"] or f"{model} on {_title(plan, panel['dataset'])}",
    }


def _datasets(plan: Stages, panel: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    model, points = panel["model"], []
    for dataset in panel["datasets"]:
        view = plan.view(model, dataset).key
        readings.metrics(model, view)
        readings.probes(model, view)
        named = {"series": "", "label": _title(plan, dataset), "model": model}
        points.append({**named, "view": view, "nc1_view": view})
    return {
        "title": panel["title"] or f"{model} on {len(points)} data sets",
        "abscissa": panel["abscissa"],
        "nc1_dataset": None,  # each point's own
        "split": "train",
        "points": points,
    }


def _points(plan: Stages, panel: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    measured = panel["nc1_on"] or panel["dataset"]
    points = []
    for series in panel["series"]:
        for label, model in _labelled(plan, series).items():
            view, nc1_view = plan.view(model, panel["dataset"]).key, plan.view(model, measured).key
            readings.metrics(model, nc1_view)
            readings.probes(model, view)
            shared = {"series": series["name"], "label": label, "model": model}
            points.append({**shared, "view": view, "nc1_view": nc1_view})
    return {
        "title": panel["title"] or _title(plan, panel["dataset"]),
        "dataset": _title(plan, panel["dataset"]),
        "nc1_dataset": _title(plan, measured),
        "split": "train",
        "points": points,
    }


def _episodes(plan: Stages, panel: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    points = []
    for series in panel["series"]:
        for label, model in _labelled(plan, series).items():
            view = plan.view(model, panel["dataset"]).key
            readings.fewshot(model, view)
            points.append({"series": series["name"], "label": label, "model": model, "view": view})
    return {"title": panel["title"] or _title(plan, panel["dataset"]), "points": points}


def _snapshots(plan: Stages, panel: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    model = panel["model"]
    entry = plan.config["models"][model]
    training = merge(plan.config["training"], entry["training"])
    dataset = panel["dataset"] or entry["dataset"]
    view = plan.view(model, dataset).key
    # the model's own classifier knows the classes of its source data only, if it was kept at all
    classifies = dataset == entry["dataset"] and keeps_classifier(training)
    snapshots = []
    for epoch in snapshot_epochs(training):
        snapshot = snapshot_key(model, epoch)
        readings.metrics(snapshot, view)
        if classifies:
            readings.head_metrics(snapshot, view)
        snapshots.append({"epoch": epoch, "model": snapshot})
    readings.history(model)
    return {
        "title": panel["title"] or f"{model} on {_title(plan, dataset)}",
        "model": model,
        "view": view,
        "snapshots": snapshots,
    }


def _ranking(plan: Stages, panel: Mapping[str, Any], readings: Readings) -> dict[str, Any]:
    dataset = panel["rank"]
    readings.ranking(dataset)
    return {"title": panel["title"] or _title(plan, dataset), "dataset": dataset}


def _runs(plan: Stages, panel: Mapping[str, Any], kind: str, readings: Readings) -> dict[str, Any]:
    model, facts = panel["model"], plan.facts(panel["model"])
    view = plan.view(model, panel["dataset"]).key
    collapse = kinds.facts(kind).collapse
    shown: dict[str, dict[str, Any]] = {}
    for run, features in finetuning.expand(plan.config, panel):
        store = runs.run_key(plan.config, run)
        measured = runs.zoo_key(store, features)
        readings.finetuning(store)
        if collapse and runs.method_facts(run.method).trains:
            readings.metrics(measured, view)
        shown[store] = {
            "run": store,
            "model": measured,
            "method": run.method,
            "units": list(run.units),
            "per_class": run.per_class,
            "learning_rate": run.learning_rate,
            "weight_decay": run.weight_decay,
            "rank": finetuning.method_settings(plan.config, run).get("rank"),
            "seed": run.seed,
        }
    dataset = _title(plan, panel["dataset"])
    return {
        "title": panel["title"] or f"{model} on {dataset}",
        "model": model,
        "dataset": dataset,
        "view": view,
        "pooling": panel["pooling"] or facts.poolings[0],
        "depth": facts.known.units,
        "abscissa": panel["abscissa"],
        "runs": list(shown.values()),
    }
