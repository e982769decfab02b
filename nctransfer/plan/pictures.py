"""What figures and tables show: from panels of the configuration to the tidy tables they read."""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.plan import finetuning, runs
from nctransfer.plan.documents import merge
from nctransfer.plan.families import group_members, snapshot_key
from nctransfer.plan.stages import Job, Stages
from nctransfer.plan.training import keeps_classifier, snapshot_epochs

# Kinds of pictures of fine-tuning runs that show accuracies alone; the others read collapse metrics too.
ACCURACY_ONLY = ("samples", "tuned_units", "search", "tasks")
# Kinds that show no probes of their panels' models.
UNPROBED = ("over_training", "few_shot")


class Readings:
    """The tidy tables that a picture reads, each once.

    Attributes:
        tables: (name, model, view) of each, in the order of the inputs ``table_0``, ``table_1``, ...
        inputs: their files, by the name of the input.
        parents: the jobs that make them, by the name of the input.
    """

    def __init__(self, plan: Stages) -> None:
        self._plan = plan
        self.tables: list[tuple[str, str, str]] = []
        self.inputs: dict[str, str] = {}
        self.parents: dict[str, Job] = {}

    def metrics(self, model: str, view: str) -> None:
        """Collapse metrics of a model's features."""
        self._add("metrics", model, view, f"metrics/{model}/{view}", self._plan.metrics(model, view))

    def probes(self, model: str, view: str) -> None:
        """Accuracies of the probes on them."""
        path = f"probes/{model}/{view}/accuracy"
        self._add("probes", model, view, path, self._plan.probes(model, view))

    def head_metrics(self, model: str, view: str) -> None:
        """NC3 and NC4 of the model's own classifier."""
        job = self._plan.head_metrics(model, view)
        self._add("head_metrics", model, view, f"head_metrics/{model}/{view}", job)

    def history(self, model: str) -> None:
        """Loss and accuracy by epoch of a training."""
        self._add("history", model, "", f"pretraining/{model}/history", self._plan.pretrain(model))

    def finetuning(self, run: str) -> None:
        """What a fine-tuning run reached."""
        self._add("finetuning", run, "", f"finetuning/{run}/accuracy", self._plan.finetune(run))

    def fewshot(self, model: str, view: str) -> None:
        """What a classifier reached in few-shot episodes."""
        self._add("fewshot", model, view, f"fewshot/{model}/{view}", self._plan.fewshot(model, view))

    def _add(self, name: str, model: str, view: str, path: str, job: Job) -> None:
        if (name, model, view) not in self.tables:
            key = f"table_{len(self.tables)}"
            self.tables.append((name, model, view))
            self.inputs[key] = f"{self._plan.results}/{path}.parquet"
            self.parents[key] = job


def resolve(plan: Stages, panel: Mapping[str, Any], kind: str, readings: Readings) -> dict[str, Any]:
    """What a panel shows, and note what it reads.

    Args:
        plan: the plan.
        panel: a panel of the configuration.
        kind: of the figure or table.
        readings: the tables of the whole picture, added to.
    """
    if panel["runs"] is not None:
        return _runs(plan, panel, kind, readings)
    if kind == "few_shot":
        return _episodes(plan, panel, readings)
    if panel["series"] is not None:
        return _points(plan, panel, readings)
    if kind == "over_training":
        return _snapshots(plan, panel, readings)
    return _units(plan, panel, readings)


def shown(plan: Stages) -> Iterator[tuple[str, str]]:
    """Model and view of everything whose transfer accuracy a figure or table shows."""
    for section in ("figures", "tables"):
        for picture in plan.config[section].values():
            for panel in picture["panels"]:
                probed = panel["runs"] is None and picture["kind"] not in UNPROBED
                if panel["dataset"] is not None and probed:
                    for model in [panel["model"]] if panel["model"] else _models(plan, panel):
                        yield model, plan.view(model, panel["dataset"]).key


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


def _runs(plan: Stages, panel: Mapping[str, Any], kind: str, readings: Readings) -> dict[str, Any]:
    model, facts = panel["model"], plan.facts(panel["model"])
    view = plan.view(model, panel["dataset"]).key
    shown: dict[str, dict[str, Any]] = {}
    for run, features in finetuning.expand(plan.config, panel):
        store = runs.run_key(plan.config, run)
        measured = runs.zoo_key(store, features)
        readings.finetuning(store)
        if kind not in ACCURACY_ONLY and runs.method_facts(run.method).trains:
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
