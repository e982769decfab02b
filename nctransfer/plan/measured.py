"""Which figures and tables show NC1, and of what: the rows of the paper's Table 1.

All of it follows from the configuration; nothing has to be measured to tell what is measured.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nctransfer.plan import finetuning, kinds, ranking, runs
from nctransfer.plan.families import group_members
from nctransfer.plan.stages import Stages


@dataclass
class Row:
    """What pictures of one section show of NC1; everything in the order of the configuration.

    Attributes:
        section: of the paper, empty where the configuration names none.
        data: ``source``, ``downstream`` or ``source and downstream``.
        tuned: whether the models are fine-tuned.
        features, images: as :class:`nctransfer.plan.kinds.NC1`.
        pictures: keys of figures and tables.
        what: what they show.
        models: keys of the models, base models where they are fine-tuned.
        pool: the same in few words: ``10 of`` a family, or the key of a model that is of none.
        runs: keys of the fine-tuning runs.
        datasets: that NC1 is measured on, by title.
    """

    section: str
    data: str
    tuned: bool
    features: str
    images: str
    pictures: list[str] = field(default_factory=list)
    what: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    pool: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)


def rows(plan: Stages) -> list[Row]:
    """A row for all pictures of a section that show NC1 of the same features on the same kind of data."""
    found: dict[tuple[Any, ...], Row] = {}
    for key, picture in _pictures(plan.config):
        shown = kinds.facts(picture["kind"]).nc1
        panels = [panel for panel in picture["panels"] if panel["abscissa"] != "train_accuracy"]
        if shown is None or not panels:
            continue
        measured = [pair for panel in panels for pair in _measured(plan.config, panel)]
        data = " and ".join(sorted({_role(plan, *pair) for pair in measured}, reverse=True))
        tuned = any(panel["runs"] for panel in panels)
        group = (picture["section"] or "", data, tuned, shown.features, shown.images)
        row = found.setdefault(group, Row(*group))
        titles = plan.config["style"]["titles"]
        _extend(row.pictures, [key])
        _extend(row.what, [shown.what])
        _extend(row.models, [model for model, _ in measured])
        _extend(row.runs, [run for panel in panels for run in _runs(plan.config, panel)])
        _extend(row.datasets, [titles.get(dataset, dataset) for _, dataset in measured])
    for row in found.values():
        families = [_family(plan.config["models"][model]) for model in row.models]
        pool = [family or model for family, model in zip(families, row.models, strict=True)]
        counted = {name: f"{pool.count(name)} of {name}" for name in families if name}
        row.pool = [counted.get(name, name) for name in dict.fromkeys(pool)]
    sections = list(dict.fromkeys(row.section for row in found.values()))
    sections.sort(key=lambda section: not section)  # what has none comes last
    return sorted(found.values(), key=lambda row: sections.index(row.section))


def _pictures(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The configuration's own pictures, figures first; not those of rankings."""
    for section in ("figures", "tables"):
        derived = ranking.picture_keys(config, section)
        yield from ((key, entry) for key, entry in config[section].items() if key not in derived)


def _measured(config: Mapping[str, Any], panel: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Model and data set of every NC1 that a panel shows."""
    members = group_members(config)
    for series in panel["series"] or ():
        for model in (series["models"] or members[series["group"]]).values():
            yield model, panel["nc1_on"] or panel["dataset"]
    for dataset in panel["datasets"] or ():
        yield panel["model"], dataset
    if panel["model"] and not panel["datasets"]:
        yield panel["model"], panel["dataset"] or config["models"][panel["model"]]["dataset"]


def _runs(config: Mapping[str, Any], panel: Mapping[str, Any]) -> Iterator[str]:
    """Keys of the fine-tuning runs that a panel shows."""
    if panel["runs"]:
        yield from (runs.run_key(config, run) for run, _ in finetuning.expand(config, panel))


def _family(entry: Mapping[str, Any]) -> str:
    """Key of the family that a model belongs to, empty for none."""
    where: str = entry.get("member_of", "")
    return where.removeprefix("families.").partition(".members.")[0]


def _role(plan: Stages, model: str, dataset: str) -> str:
    """Whether a model was pre-trained on a data set; of published weights that is not known to be so."""
    return "source" if plan.config["models"][plan.base(model)]["dataset"] == dataset else "downstream"


def _extend(known: list[str], further: list[str]) -> None:
    """Add what is not there yet, in order."""
    known += [entry for entry in dict.fromkeys(further) if entry not in known]
