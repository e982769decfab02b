"""Which figures and tables show NC1, and of what: the rows of the paper's Table 1.

All of it follows from the configuration; nothing has to be measured to tell what is measured.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nctransfer.config.configuration import PictureSettings
from nctransfer.config.finetuning_runs import run_key, study_runs
from nctransfer.config.kinds import kind_of
from nctransfer.config.panels import (
    DataSetsPanelSettings,
    EpisodesPanelSettings,
    PanelSettings,
    RunsPanelSettings,
    SnapshotsPanelSettings,
    UnitsPanelSettings,
)
from nctransfer.config.ranking import picture_keys
from nctransfer.dag.shown_panels import labelled_models
from nctransfer.dag.stages import Stages
from nctransfer.reporting.settings import NC1Row


@dataclass
class _Row:
    """A row under way; see :class:`nctransfer.reporting.settings.NC1Row`."""

    section: str
    data: str
    tuned: bool
    features: str
    images: str
    pictures: list[str] = field(default_factory=list)
    what: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)


def rows(plan: Stages) -> list[NC1Row]:
    """A row for all pictures of a section that show NC1 of the same features on the same kind of data."""
    groups: dict[tuple[str, str, bool, str, str], _Row] = {}
    for section, key, picture in _pictures(plan):
        nc1 = kind_of(section, picture.kind).nc1
        panels = [panel for panel in picture.panels if getattr(panel, "abscissa", None) != "train_accuracy"]
        if nc1 is None or not panels:
            continue
        measured = [pair for panel in panels for pair in _measured(plan, panel)]
        data = " and ".join(sorted({_role(plan, *pair) for pair in measured}, reverse=True))
        tuned = any(isinstance(panel, RunsPanelSettings) for panel in panels)
        group = (picture.section or "", data, tuned, nc1.features, nc1.images)
        row = groups.setdefault(group, _Row(*group))
        _extend(row.pictures, [key])
        _extend(row.what, [nc1.what])
        _extend(row.models, [model for model, _ in measured])
        _extend(row.runs, [run for panel in panels for run in _runs(plan, panel)])
        _extend(row.datasets, [plan.configuration.style.title(dataset) for _, dataset in measured])
    sections = list(dict.fromkeys(row.section for row in groups.values()))
    sections.sort(key=lambda section: not section)  # what has none comes last
    ordered = sorted(groups.values(), key=lambda row: sections.index(row.section))
    return [NC1Row.read({**vars(row), "pool": _pool(plan, row.models)}) for row in ordered]


def _pool(plan: Stages, models: list[str]) -> list[str]:
    """Models in few words: so many of a family, or the key of a model that is of none."""
    families = [plan.study.models[model].family for model in models]
    pool = [family or model for family, model in zip(families, models, strict=True)]
    counted = {name: f"{pool.count(name)} of {name}" for name in families if name}
    return [counted.get(name, name) for name in dict.fromkeys(pool)]


def _pictures(plan: Stages) -> Iterator[tuple[str, str, PictureSettings]]:
    """The configuration's own pictures, figures first; not those of rankings."""
    for section in ("figures", "tables"):
        derived = picture_keys(plan.configuration, section)
        for key, entry in plan.configuration.pictures(section).items():
            if key not in derived:
                yield section, key, entry


def _measured(plan: Stages, panel: PanelSettings) -> Iterator[tuple[str, str]]:
    """Model and data set of every NC1 that a panel shows."""
    match panel:
        case EpisodesPanelSettings():
            for _, _, model in labelled_models(plan, panel.series):
                yield model, getattr(panel, "nc1_on", None) or panel.dataset
        case DataSetsPanelSettings():
            yield from ((panel.model, dataset) for dataset in panel.datasets)
        case SnapshotsPanelSettings():
            yield panel.model, panel.dataset or plan.trained(panel.model).dataset
        case UnitsPanelSettings() | RunsPanelSettings():
            yield panel.model, panel.dataset


def _runs(plan: Stages, panel: PanelSettings) -> Iterator[str]:
    """Keys of the fine-tuning runs that a panel shows."""
    if isinstance(panel, RunsPanelSettings):
        for run, _ in study_runs(plan.study, panel):
            yield run_key(plan.configuration.finetuning, run)


def _role(plan: Stages, model: str, dataset: str) -> str:
    """Whether a model was pre-trained on a data set; of published weights that is not known to be so."""
    return "source" if plan.study.models[model].source_dataset == dataset else "downstream"


def _extend(entries: list[str], further: list[str]) -> None:
    """Add what is not in the list yet, in order."""
    entries += [entry for entry in dict.fromkeys(further) if entry not in entries]
