"""From panels of the configuration to panels in the settings of figures and tables."""

from collections.abc import Iterator, Mapping
from functools import singledispatch

from nctransfer.config import panels
from nctransfer.config.finetuning import RatesSettings
from nctransfer.config.finetuning_runs import model_key, network_rates, run_key, study_runs
from nctransfer.config.kinds import Kind
from nctransfer.config.ranking import ranked_models
from nctransfer.config.study import snapshot_key
from nctransfer.config.training import keeps_classifier
from nctransfer.dag.stages import Stages
from nctransfer.dag.tidy_inputs import TidyInputs
from nctransfer.data.dataset import data_set
from nctransfer.finetuning.method import method_facts
from nctransfer.reporting import settings as shown

OF_RUN = ("method", "units", "per_class", "learning_rate", "weight_decay", "seed")


@singledispatch
def show(panel: panels.PanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> shown.ShownPanel:
    """Settings of a panel for the job that draws it, whose tidy tables are added to ``inputs``."""
    raise TypeError(f"unknown class of panels: {type(panel).__name__}")


@show.register
def _units(
    panel: panels.UnitsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.UnitsPanel:
    model, view = panel.model, plan.view(panel.model, panel.dataset).key
    inputs.add("metrics", plan.metrics(model, view))
    inputs.add("probes", plan.probes(model, view))
    return shown.UnitsPanel(
        model=model,
        view=view,
        pooling=panel.pooling or plan.facts(model).poolings[0],
        title=panel.title or f"{model} on {_title(plan, panel.dataset)}",
    )


@show.register
def _points(
    panel: panels.PointsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.PointsPanel:
    measured = panel.nc1_on or panel.dataset
    points = []
    for part, label, model in labelled_models(plan, panel.series):
        view, nc1_view = plan.view(model, panel.dataset).key, plan.view(model, measured).key
        inputs.add("metrics", plan.metrics(model, nc1_view))
        inputs.add("probes", plan.probes(model, view))
        points.append(shown.Point(series=part.name, label=label, model=model, view=view, nc1_view=nc1_view))
    return shown.PointsPanel(
        title=panel.title or _title(plan, panel.dataset),
        dataset=_title(plan, panel.dataset),
        nc1_dataset=_title(plan, measured),
        split="train",
        points=tuple(points),
    )


@show.register
def _datasets(
    panel: panels.DataSetsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.PointsPanel:
    points = []
    for dataset in panel.datasets:
        view = plan.view(panel.model, dataset).key
        inputs.add("metrics", plan.metrics(panel.model, view))
        inputs.add("probes", plan.probes(panel.model, view))
        label = _title(plan, dataset)
        points.append(shown.Point(series="", label=label, model=panel.model, view=view, nc1_view=view))
    return shown.PointsPanel(
        title=panel.title or f"{panel.model} on {len(points)} data sets",
        abscissa=panel.abscissa,
        split="train",
        points=tuple(points),
    )


@show.register
def _episodes(
    panel: panels.EpisodesPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.EpisodesPanel:
    points = []
    for part, label, model in labelled_models(plan, panel.series):
        view = plan.view(model, panel.dataset).key
        inputs.add("few_shot", plan.few_shot(model, view))
        points.append(shown.EpisodesPoint(series=part.name, label=label, model=model, view=view))
    return shown.EpisodesPanel(title=panel.title or _title(plan, panel.dataset), points=tuple(points))


@show.register
def _snapshots(
    panel: panels.SnapshotsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.SnapshotsPanel:
    entry = plan.trained(panel.model)
    training, dataset = plan.study.training(entry), panel.dataset or entry.dataset
    view = plan.view(panel.model, dataset).key
    # the model's own classifier only knows the classes of its source data, and may not have been kept
    classifies = dataset == entry.dataset and keeps_classifier(training)
    snapshots = []
    for epoch in training.snapshot_epochs:
        snapshot = snapshot_key(panel.model, epoch)
        inputs.add("metrics", plan.metrics(snapshot, view))
        if classifies:
            inputs.add("head_metrics", plan.head_metrics(snapshot, view))
        snapshots.append(shown.Snapshot(epoch=epoch, model=snapshot))
    inputs.add("history", plan.pretrain(panel.model))
    return shown.SnapshotsPanel(
        title=panel.title or f"{panel.model} on {_title(plan, dataset)}",
        model=panel.model,
        view=view,
        snapshots=tuple(snapshots),
    )


@show.register
def _ranking(
    panel: panels.RankingPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.RankingPanel:
    job = plan.ranking(panel.rank)
    inputs.add("rank", job)
    inputs.add("agreement", job)
    return shown.RankingPanel(title=panel.title or _title(plan, panel.rank), dataset=panel.rank)


@show.register
def _search(
    panel: panels.SearchPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.SearchPanel:
    searched = _runs(panel, plan, kind, inputs)
    _, in_use = network_rates(plan.configuration.finetuning, plan.facts(panel.model))
    rates = {
        method: shown.MethodRates(in_use=_pair(in_use, method), published=_pair(panel.published, method))
        for method in dict.fromkeys(run.method for run in searched.runs)
    }
    validation = plan.configuration.datasets[panel.dataset].validation
    return shown.SearchPanel(**dict(searched), validation=validation, rates=rates)


def _pair(rates: Mapping[str, RatesSettings], method: str) -> tuple[float, float] | None:
    found = rates.get(method)
    return None if found is None else (found.learning_rate, found.weight_decay)


@show.register
def _runs(panel: panels.RunsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> shown.RunsPanel:
    model, facts = panel.model, plan.facts(panel.model)
    view = plan.view(model, panel.dataset).key
    runs: dict[str, shown.ShownRun] = {}
    for run, features in study_runs(plan.study, panel):
        store = run_key(plan.configuration.finetuning, run)
        measured = model_key(store, features)
        inputs.add("finetuning", plan.finetune(store))
        if kind.collapse and run.facts.trains:
            inputs.add("metrics", plan.metrics(measured, view))
        own = {name: getattr(run, name) for name in OF_RUN}
        rank = getattr(plan.method_settings(run), "rank", None)
        runs[store] = shown.ShownRun(run=store, model=measured, rank=rank, **own)
    dataset = _title(plan, panel.dataset)
    return shown.RunsPanel(
        title=panel.title or f"{model} on {dataset}",
        model=model,
        dataset=dataset,
        view=view,
        pooling=panel.pooling or facts.poolings[0],
        depth=facts.known.units,
        abscissa=panel.abscissa if isinstance(panel, panels.TunedUnitsPanelSettings) else None,
        note=panel.note if isinstance(panel, panels.SamplesPanelSettings) else None,
        runs=tuple(runs.values()),
    )


@show.register
def _diagram(
    panel: panels.DiagramPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs
) -> shown.DiagramPanel:
    inputs.add("units", plan.model(panel.model))
    dataset, options = panel.dataset, method_facts(panel.method).options if panel.method else ()
    classes = data_set(plan.configuration.datasets[dataset]).class_count() if dataset else None
    return shown.DiagramPanel(
        title=panel.title,
        model=panel.model,
        method=panel.method,
        units=tuple(sorted(panel.units or ())),
        dataset=dataset and _title(plan, dataset),
        classes=classes,
        hidden=plan.configuration.finetuning.hidden if "hidden" in options else None,
    )


def labelled_models(
    plan: Stages, series: tuple[panels.SeriesSettings, ...]
) -> Iterator[tuple[panels.SeriesSettings, str, str]]:
    """Series, label and model key of every model in some series."""
    groups = plan.study.groups()
    for part in series:
        for label, model in (part.models or groups[part.group or ""]).items():
            yield part, label, model


def probed(plan: Stages, panel: panels.PanelSettings) -> Iterator[tuple[str, str]]:
    """Model and view of every probe accuracy that a panel shows."""
    match panel:
        case panels.UnitsPanelSettings():
            yield panel.model, plan.view(panel.model, panel.dataset).key
        case panels.PointsPanelSettings():
            for _, _, model in labelled_models(plan, panel.series):
                yield model, plan.view(model, panel.dataset).key
        case panels.DataSetsPanelSettings():
            for dataset in panel.datasets:
                yield panel.model, plan.view(panel.model, dataset).key


def models(plan: Stages, panel: panels.PanelSettings) -> Iterator[str]:
    """The models of a panel, as the column ``model`` of its picture names them."""
    match panel:
        case panels.PointsPanelSettings() | panels.EpisodesPanelSettings():
            yield from (model for _, _, model in labelled_models(plan, panel.series))
        case panels.RankingPanelSettings():
            yield from ranked_models(plan.configuration, plan.study.models)
        case _:
            yield panel.model  # type: ignore[attr-defined] # every other panel is of one


def _title(plan: Stages, dataset: str) -> str:
    return plan.configuration.style.title(dataset)
