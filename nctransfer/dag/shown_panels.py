"""What panels show: from panels of the configuration to what figures and tables are told."""

from collections.abc import Iterator
from functools import singledispatch

from nctransfer.config.finetuning_runs import model_key, run_key, study_runs
from nctransfer.config.kinds import Kind
from nctransfer.config.panels import (
    DataSetsPanelSettings,
    DiagramPanelSettings,
    EpisodesPanelSettings,
    PanelSettings,
    PointsPanelSettings,
    RankingPanelSettings,
    RunsPanelSettings,
    SeriesSettings,
    SnapshotsPanelSettings,
    TunedUnitsPanelSettings,
    UnitsPanelSettings,
)
from nctransfer.config.study import snapshot_key
from nctransfer.config.training import keeps_classifier
from nctransfer.dag.stages import Stages
from nctransfer.dag.tidy_inputs import TidyInputs
from nctransfer.data.dataset import data_set
from nctransfer.finetuning.method import method_facts
from nctransfer.reporting.settings import (
    DiagramPanel,
    EpisodesPanel,
    EpisodesPoint,
    Point,
    PointsPanel,
    RankingPanel,
    RunsPanel,
    ShownPanel,
    ShownRun,
    Snapshot,
    SnapshotsPanel,
    UnitsPanel,
)


@singledispatch
def show(panel: PanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> ShownPanel:
    """What a figure or table is told of a panel.

    Args:
        panel: of the configuration.
        plan: that names the jobs.
        kind: of the figure or table.
        inputs: the tidy tables of the whole figure or table, added to.
    """
    raise TypeError(f"nothing is known of panels of {type(panel).__name__}")


@show.register
def _units(panel: UnitsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> UnitsPanel:
    """A model's units on a data set."""
    model, view = panel.model, plan.view(panel.model, panel.dataset).key
    inputs.add("metrics", plan.metrics(model, view))
    inputs.add("probes", plan.probes(model, view))
    return UnitsPanel(
        model=model,
        view=view,
        pooling=panel.pooling or plan.facts(model).poolings[0],
        title=panel.title or f"{model} on {_title(plan, panel.dataset)}",
    )


@show.register
def _points(panel: PointsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> PointsPanel:
    """Models on a data set, a point each."""
    measured = panel.nc1_on or panel.dataset
    shown = []
    for part, label, model in labelled_models(plan, panel.series):
        view, nc1_view = plan.view(model, panel.dataset).key, plan.view(model, measured).key
        inputs.add("metrics", plan.metrics(model, nc1_view))
        inputs.add("probes", plan.probes(model, view))
        shown.append(Point(series=part.name, label=label, model=model, view=view, nc1_view=nc1_view))
    return PointsPanel(
        title=panel.title or _title(plan, panel.dataset),
        dataset=_title(plan, panel.dataset),
        nc1_dataset=_title(plan, measured),
        split="train",
        points=tuple(shown),
    )


@show.register
def _datasets(panel: DataSetsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> PointsPanel:
    """A model on several data sets, a point each; NC1 is measured on each point's own."""
    shown = []
    for dataset in panel.datasets:
        view = plan.view(panel.model, dataset).key
        inputs.add("metrics", plan.metrics(panel.model, view))
        inputs.add("probes", plan.probes(panel.model, view))
        label = _title(plan, dataset)
        shown.append(Point(series="", label=label, model=panel.model, view=view, nc1_view=view))
    return PointsPanel(
        title=panel.title or f"{panel.model} on {len(shown)} data sets",
        abscissa=panel.abscissa,
        split="train",
        points=tuple(shown),
    )


@show.register
def _episodes(panel: EpisodesPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> EpisodesPanel:
    """Few-shot episodes of several models."""
    shown = []
    for part, label, model in labelled_models(plan, panel.series):
        view = plan.view(model, panel.dataset).key
        inputs.add("few_shot", plan.few_shot(model, view))
        shown.append(EpisodesPoint(series=part.name, label=label, model=model, view=view))
    return EpisodesPanel(title=panel.title or _title(plan, panel.dataset), points=tuple(shown))


@show.register
def _snapshots(panel: SnapshotsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> SnapshotsPanel:
    """A model's snapshots."""
    entry = plan.trained(panel.model)
    training, dataset = plan.study.training(entry), panel.dataset or entry.dataset
    view = plan.view(panel.model, dataset).key
    # the model's own classifier knows the classes of its source data only, if it was kept at all
    classifies = dataset == entry.dataset and keeps_classifier(training)
    shown = []
    for epoch in training.snapshot_epochs:
        snapshot = snapshot_key(panel.model, epoch)
        inputs.add("metrics", plan.metrics(snapshot, view))
        if classifies:
            inputs.add("head_metrics", plan.head_metrics(snapshot, view))
        shown.append(Snapshot(epoch=epoch, model=snapshot))
    inputs.add("history", plan.pretrain(panel.model))
    return SnapshotsPanel(
        title=panel.title or f"{panel.model} on {_title(plan, dataset)}",
        model=panel.model,
        view=view,
        snapshots=tuple(shown),
    )


@show.register
def _ranking(panel: RankingPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> RankingPanel:
    """A ranking of models and units."""
    job = plan.ranking(panel.rank)
    inputs.add("rank", job)
    inputs.add("agreement", job)
    return RankingPanel(title=panel.title or _title(plan, panel.rank), dataset=panel.rank)


@show.register
def _runs(panel: RunsPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> RunsPanel:
    """Fine-tuning runs of a model on a data set."""
    model, facts = panel.model, plan.facts(panel.model)
    view = plan.view(model, panel.dataset).key
    shown: dict[str, ShownRun] = {}
    for run, features in study_runs(plan.study, panel):
        store = run_key(plan.configuration.finetuning, run)
        measured = model_key(store, features)
        inputs.add("finetuning", plan.finetune(store))
        if kind.collapse and run.facts.trains:
            inputs.add("metrics", plan.metrics(measured, view))
        shown[store] = ShownRun(
            run=store,
            model=measured,
            method=run.method,
            units=run.units,
            per_class=run.per_class,
            learning_rate=run.learning_rate,
            weight_decay=run.weight_decay,
            rank=getattr(plan.method_settings(run), "rank", None),
            seed=run.seed,
        )
    dataset = _title(plan, panel.dataset)
    return RunsPanel(
        title=panel.title or f"{model} on {dataset}",
        model=model,
        dataset=dataset,
        view=view,
        pooling=panel.pooling or facts.poolings[0],
        depth=facts.known.units,
        abscissa=panel.abscissa if isinstance(panel, TunedUnitsPanelSettings) else None,
        runs=tuple(shown.values()),
    )


@show.register
def _diagram(panel: DiagramPanelSettings, plan: Stages, kind: Kind, inputs: TidyInputs) -> DiagramPanel:
    """A model's units, as they are or under a method; nothing is trained or measured for it."""
    inputs.add("units", plan.model(panel.model))
    dataset, options = panel.dataset, method_facts(panel.method).options if panel.method else ()
    classes = data_set(plan.configuration.datasets[dataset]).class_count() if dataset else None
    return DiagramPanel(
        title=panel.title,
        model=panel.model,
        method=panel.method,
        units=tuple(sorted(panel.units or ())),
        dataset=dataset and _title(plan, dataset),
        classes=classes,
        hidden=plan.configuration.finetuning.hidden if "hidden" in options else None,
    )


# --- what panels are about --------------------------------------------------------------------


def labelled_models(
    plan: Stages, series: tuple[SeriesSettings, ...]
) -> Iterator[tuple[SeriesSettings, str, str]]:
    """Series, label and key of every model of some series."""
    groups = plan.study.groups()
    for part in series:
        for label, model in (part.models or groups[part.group or ""]).items():
            yield part, label, model


def probed(plan: Stages, panel: PanelSettings) -> Iterator[tuple[str, str]]:
    """Model and view of everything whose transfer accuracy by probes a panel shows."""
    match panel:
        case UnitsPanelSettings():
            yield panel.model, plan.view(panel.model, panel.dataset).key
        case PointsPanelSettings():
            for _, _, model in labelled_models(plan, panel.series):
                yield model, plan.view(model, panel.dataset).key
        case DataSetsPanelSettings():
            for dataset in panel.datasets:
                yield panel.model, plan.view(panel.model, dataset).key


def _title(plan: Stages, dataset: str) -> str:
    return plan.configuration.style.title(dataset)
