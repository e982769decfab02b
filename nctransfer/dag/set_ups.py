"""Whether a figure or table has the set-up of config.yaml, or how it differs."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from nctransfer.config.finetuning import SweepSettings
from nctransfer.config.models import ModelSettings, PretrainedModelSettings
from nctransfer.config.panels import EpisodesPanelSettings, PanelSettings, RunsPanelSettings
from nctransfer.config.training import TrainingSettings
from nctransfer.dag import shown_panels
from nctransfer.dag.job import Job
from nctransfer.dag.stages import Stages
from nctransfer.data.dataset import data_set
from nctransfer.data.settings import DataSetSettings

# Name of the set-up of a figure or table that config.yaml alone describes.
PAPER = "the paper's set-up"
IMAGES = {
    "per_class": "{} training images a class", "count": "{} training images",
    "test_per_class": "{} test images a class", "validation": "{} held-out images",
}  # fmt: skip

# Options of networks that say how large they are, or their images.
SIZES = ("width", "img_size")


def is_papers(paper: Job | None, own: Job) -> bool:
    """Whether a figure or table has the digest of the one in config.yaml: same data, settings and code."""
    return paper is not None and paper.stamp.digest == own.stamp.digest


def set_up(
    study: str | None,
    panels: Sequence[PanelSettings],
    papers: int,
    titles: Mapping[str, str],
    smaller: Iterable[str],
) -> str:
    """How the set-up of a figure or table differs from the paper's, of so many panels (0: it has none).

    ``smaller`` says in what it is smaller, for data sets too; other data sets are only named.
    """
    datasets = dict.fromkeys(titles.get(name, name) for panel in panels for name in _datasets(panel))
    others = [name for name in datasets if not any(part.startswith(f"{name}: ") for part in smaller)]
    count = f"{len(panels)} panel{'s' * (len(panels) != 1)}"
    counts = f"{count} of the paper's {papers}" if 0 < papers != len(panels) else count
    origin = f"study {study}" if study else "own settings"
    return f"not {PAPER}: " + "; ".join(filter(None, (f"{origin}, {counts}", ", ".join(others), *smaller)))


def _datasets(panel: PanelSettings) -> Iterator[str]:
    own = (getattr(panel, name, None) for name in ("dataset", "nc1_on", "rank"))
    yield from filter(None, (*own, *getattr(panel, "datasets", ())))


def smaller(
    own: Stages, paper: Stages, panels: Sequence[PanelSettings], papers: Sequence[PanelSettings]
) -> tuple[str, ...]:
    """In what a figure or table is smaller than the paper's, in the paper's units, one text for each.

    These are its networks, the images of its data sets and of its networks' source data and their sides,
    epochs, attack steps, repetitions, searched rates and few-shot episodes. Nothing is said of a picture that
    the paper does not have.
    """
    if own is paper or not papers:
        return ()
    entries, usual = _entries(own, panels), _entries(paper, papers)
    ours, theirs = _trainings(own, entries), _trainings(paper, usual)
    found = list(_other_networks(entries, usual))
    if ours and not theirs:
        found.append("networks trained here in place of published ones")
    found += _subsets(own, paper, panels, papers, entries)
    found += _fewer([_sides(own, panels), _sides(paper, papers)], "px a side")
    if theirs:
        found += _fewer([[each.epochs for each in part] for part in (ours, theirs)], "epochs of pre-training")
    attacks = [[each.adversary for each in part if each.adversary.level] for part in (ours, theirs)]
    found += _fewer([[each.steps for each in part] for part in attacks], "attack steps")

    def chosen(section: str, name: str, what: str) -> list[str]:
        return _fewer([[getattr(getattr(plan.configuration, section), name)] for plan in (own, paper)], what)

    sweeps, usual_sweeps = (
        [sweep for panel in part for sweep in _sweeps(panel)] for part in (panels, papers)
    )
    if sweeps:
        found += chosen("finetuning", "epochs", "epochs of fine-tuning")
        seeds = [
            [sweep.seeds or plan.configuration.finetuning.seeds for sweep in part]
            for plan, part in ((own, sweeps), (paper, usual_sweeps))
        ]
        found += _fewer(seeds, "repetitions")
        for name in ("learning_rates", "weight_decays"):
            counts = [
                [len(getattr(sweep, name) or [None]) for sweep in part] for part in (sweeps, usual_sweeps)
            ]
            found += _fewer(counts, name.replace("_", " "))
    if any(type(panel) is EpisodesPanelSettings for panel in panels):
        found += chosen("few_shot", "episodes", "episodes")
    if any(True for panel in panels for _ in shown_panels.probed(own, panel)):
        found += chosen("probes", "epochs", "epochs of linear probes")
    return tuple(found)


def _subsets(
    own: Stages,
    paper: Stages,
    panels: Sequence[PanelSettings],
    papers: Sequence[PanelSettings],
    entries: Iterable[ModelSettings],
) -> Iterable[str]:
    """``DTD: 10 of 47 classes, 40 training images a class``, by data set of panels and their networks."""
    sources = [entry.dataset for entry in entries if isinstance(entry, PretrainedModelSettings)]
    title, datasets = own.configuration.style.title, own.configuration.datasets
    drawn, usually = _drawn(panels), _drawn(papers)
    names = dict.fromkeys([*(name for panel in panels for name in _datasets(panel)), *sources])
    parts = {}
    for name in names:
        counts = drawn.get(name, set())
        given = _range(counts) if counts and counts != usually.get(name) else ""
        parts[name] = _subset(datasets[name], paper.configuration.datasets.get(name), given)
    return dict.fromkeys(f"{title(name)}: {part}" for name, part in parts.items() if part)


def _sweeps(panel: PanelSettings) -> Sequence[SweepSettings]:
    return panel.runs if isinstance(panel, RunsPanelSettings) else ()


def _drawn(panels: Iterable[PanelSettings]) -> dict[str, set[int]]:
    """Training images a class that runs are given of a data set, where they are given part of it."""
    found: dict[str, set[int]] = {}
    for panel in panels:
        for sweep in _sweeps(panel):
            found.setdefault(getattr(panel, "dataset", ""), set()).update(sweep.per_class or ())
    return found


def _sides(plan: Stages, panels: Iterable[PanelSettings]) -> list[int]:
    """Sides of the images that the networks of panels are shown."""
    shown = {
        (model, name)
        for panel in panels
        for name in _datasets(panel)
        for model in shown_panels.models(plan, panel)
    }
    return [max(plan.study.facts(plan.study.base(model), name).size) for model, name in shown]


def _entries(plan: Stages, panels: Iterable[PanelSettings]) -> list[ModelSettings]:
    """Entries of the models, or base models, of panels."""
    models = [model for panel in panels for model in shown_panels.models(plan, panel)]
    return [plan.study.models[base].entry for base in dict.fromkeys(map(plan.study.base, models))]


def _other_networks(entries: Iterable[ModelSettings], usual: Iterable[ModelSettings]) -> Iterator[str]:
    """``small/resnet18 (width 8) in place of small/resnet50``."""
    ours, theirs = (list(dict.fromkeys(map(_network, part))) for part in (entries, usual))
    new = [name for name in ours if name not in theirs]
    left_out = [name for name in theirs if name not in ours]
    if new and left_out:
        yield f"{', '.join(new)} in place of {', '.join(left_out)}"
    elif left_out:
        yield f"without {', '.join(left_out)}"


def _network(entry: ModelSettings) -> str:
    sizes = [f"{name} {value}" for name, value in entry.build_options.items() if name in SIZES]
    return f"{entry.network} ({', '.join(sizes)})" if sizes else entry.network


def _trainings(plan: Stages, entries: Iterable[ModelSettings]) -> list[TrainingSettings]:
    """How those are trained that are trained here, but for networks that are untrained on purpose."""
    trained = (entry for entry in entries if isinstance(entry, PretrainedModelSettings))
    return [training for training in map(plan.study.training, trained) if training.epochs]


def _fewer(counts: Sequence[Collection[int]], what: str) -> list[str]:
    """``30 to 50 of 200 epochs``, if the least or the most of ours, the first, is below the paper's."""
    own, papers = counts
    if not own or not papers or (min(own) >= min(papers) and max(own) >= max(papers)):
        return []
    return [f"{_range(own)} of {_range(papers)} {what}"]


def _range(counts: Collection[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{least}" if least == most else f"{least} to {most}"


def _subset(entry: DataSetSettings, usual: DataSetSettings | None, drawn: str) -> str:
    """Which part of a data set is used, where the paper uses more of it; "" for all that the paper uses.

    ``drawn`` are the training images a class that runs are given, where these are not all.
    """
    said = []
    if entry.classes and entry.classes != getattr(usual, "classes", None):
        whole = data_set(entry.model_copy(update={"classes": None})).class_count()
        of = f" of {whole}" if whole and whole > len(entry.classes) else ""
        said.append(f"{len(entry.classes)}{of} classes")
    for name, words in IMAGES.items():
        count, papers = getattr(entry, name), getattr(usual, name, None)
        if name == "per_class" and drawn:
            said.append(words.format(drawn))
        elif count and count != papers:
            said.append(words.format(f"{count} of {papers}" if papers and papers > count else count))
    return ", ".join(said)


def in_words(set_ups: Mapping[str, str]) -> str:
    """A sentence about the set-ups of all figures and tables."""
    own = list(set_ups.values()).count(PAPER)
    if own == len(set_ups):
        return f"All {own} figures and tables are of {PAPER}."
    if own == 0:
        return f"None of the {len(set_ups)} figures and tables is of {PAPER}."
    return f"Of the {len(set_ups)} figures and tables {own} are of {PAPER}."
