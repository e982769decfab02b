"""Which figures and tables show NC1, and of what: the rows of the paper's Table 1, from the configuration."""

from collections.abc import Iterator

from nctransfer.config import panels
from nctransfer.config.configuration import PictureSettings
from nctransfer.config.finetuning_runs import run_key, study_runs
from nctransfer.config.kinds import kind_of
from nctransfer.config.ranking import picture_keys
from nctransfer.dag.shown_panels import labelled_models
from nctransfer.dag.stages import Stages
from nctransfer.reporting.settings import NC1Row


def rows(plan: Stages) -> list[NC1Row]:
    """One row for all figures and tables of a section that show NC1 of the same networks on the same data."""
    groups: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for section, key, picture in _pictures(plan):
        nc1 = kind_of(section, picture.kind).nc1
        shown = [panel for panel in picture.panels if getattr(panel, "abscissa", None) != "train_accuracy"]
        if nc1 is None or not shown:
            continue
        measured = [pair for panel in shown for pair in _measured(plan, panel)]
        data = " and ".join(sorted({_role(plan, *pair) for pair in measured}, reverse=True))
        tuned = any(isinstance(panel, panels.RunsPanelSettings) for panel in shown)
        group = picture.section or "", "fine-tuned" if tuned else "pre-trained", data
        row = groups.setdefault(group, {})
        for name, further in {
            "features": [nc1.features],
            "images": [nc1.images],
            "pictures": [key],
            "what": [nc1.what],
            "models": [model for model, _ in measured],
            "runs": [run for panel in shown for run in _runs(plan, panel)],
            "datasets": [plan.configuration.style.title(dataset) for _, dataset in measured],
        }.items():
            row[name] = list(dict.fromkeys([*row.get(name, ()), *further]))
    sections = list(dict.fromkeys(section for section, _, _ in groups))
    sections.sort(key=lambda section: not section)  # rows without a section come last
    found = []
    for (section, networks, data), row in sorted(groups.items(), key=lambda item: sections.index(item[0][0])):
        about = {"section": section, "networks": networks, "data": data, "pool": _pool(plan, row["models"])}
        found.append(NC1Row.read(about | row))
    return found


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
