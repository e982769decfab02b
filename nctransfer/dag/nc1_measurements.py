"""Which figures and tables show NC1, and of what: the rows of the paper's Table 1, from the configuration."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from nctransfer.config import panels
from nctransfer.config.configuration import PictureSettings
from nctransfer.config.finetuning_runs import run_key, study_runs
from nctransfer.config.kinds import kind_of
from nctransfer.config.ranking import picture_keys
from nctransfer.dag.shown_panels import labelled_models
from nctransfer.dag.stages import Stages
from nctransfer.reporting.settings import NC1Row

Networks = Literal["pre-trained", "fine-tuned"]


@dataclass
class _Row:
    """An incomplete :class:`nctransfer.reporting.settings.NC1Row`."""

    section: str
    networks: Networks
    data: str
    features: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    what: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)


def rows(plan: Stages) -> list[NC1Row]:
    """One row for all figures and tables of a section that show NC1 of the same networks on the same data."""
    groups: dict[tuple[str, Networks, str], _Row] = {}
    for section, key, picture in _pictures(plan):
        nc1 = kind_of(section, picture.kind).nc1
        shown = [panel for panel in picture.panels if getattr(panel, "abscissa", None) != "train_accuracy"]
        if nc1 is None or not shown:
            continue
        measured = [pair for panel in shown for pair in _measured(plan, panel)]
        data = " and ".join(sorted({_role(plan, *pair) for pair in measured}, reverse=True))
        tuned = any(isinstance(panel, panels.RunsPanelSettings) for panel in shown)
        networks: Networks = "fine-tuned" if tuned else "pre-trained"
        group = picture.section or "", networks, data
        row = groups.setdefault(group, _Row(*group))
        _extend(row.features, [nc1.features])
        _extend(row.images, [nc1.images])
        _extend(row.pictures, [key])
        _extend(row.what, [nc1.what])
        _extend(row.models, [model for model, _ in measured])
        _extend(row.runs, [run for panel in shown for run in _runs(plan, panel)])
        _extend(row.datasets, [plan.configuration.style.title(dataset) for _, dataset in measured])
    sections = list(dict.fromkeys(row.section for row in groups.values()))
    sections.sort(key=lambda section: not section)  # rows without a section come last
    ordered = sorted(groups.values(), key=lambda row: sections.index(row.section))
    return [NC1Row.read({**vars(row), "pool": _pool(plan, row.models)}) for row in ordered]


def _pool(plan: Stages, models: list[str]) -> list[str]:
    """Models in few words: the number per family, or the key of a model without a family."""
    families = [plan.study.models[model].family for model in models]
    pool = [family or model for family, model in zip(families, models, strict=True)]
    counted = {name: f"{pool.count(name)} of {name}" for name in families if name}
    return [counted.get(name, name) for name in dict.fromkeys(pool)]


def _pictures(plan: Stages) -> Iterator[tuple[str, str, PictureSettings]]:
    """The figures and tables of the configuration, without those of rankings."""
    for section in ("figures", "tables"):
        derived = picture_keys(plan.configuration, section)
        for key, entry in plan.configuration.pictures(section).items():
            if key not in derived:
                yield section, key, entry


def _measured(plan: Stages, panel: panels.PanelSettings) -> Iterator[tuple[str, str]]:
    match panel:
        case panels.EpisodesPanelSettings():
            for _, _, model in labelled_models(plan, panel.series):
                yield model, getattr(panel, "nc1_on", None) or panel.dataset
        case panels.DataSetsPanelSettings():
            yield from ((panel.model, dataset) for dataset in panel.datasets)
        case panels.SnapshotsPanelSettings():
            yield panel.model, panel.dataset or plan.trained(panel.model).dataset
        case panels.UnitsPanelSettings() | panels.RunsPanelSettings():
            yield panel.model, panel.dataset


def _runs(plan: Stages, panel: panels.PanelSettings) -> Iterator[str]:
    if isinstance(panel, panels.RunsPanelSettings):
        for run, _ in study_runs(plan.study, panel):
            yield run_key(plan.configuration.finetuning, run)


def _role(plan: Stages, model: str, dataset: str) -> str:
    """Whether a data set is a model's source data; for published weights this is not known."""
    return "source" if plan.study.models[model].source_dataset == dataset else "downstream"


def _extend(entries: list[str], further: list[str]) -> None:
    """Append the entries that are not in the list yet, in order."""
    entries += [entry for entry in dict.fromkeys(further) if entry not in entries]
