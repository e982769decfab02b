"""What types do not tell of a configuration: what one key says of another, and names.

Every mistake is one line that names the key.
"""

from collections.abc import Iterator

from nctransfer.catalog.model_facts import LIBRARIES
from nctransfer.config.configuration import PictureSettings
from nctransfer.config.mistakes import key_path
from nctransfer.config.models import (
    LibraryModelSettings,
    LocalModelSettings,
    ModelSettings,
    PretrainedModelSettings,
)
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
    UnitsPanelSettings,
)
from nctransfer.config.ranking import picture_keys, ranked_models, weights_of
from nctransfer.config.references import Named, check_variant
from nctransfer.config.run_checks import (
    check_finetuned,
    check_runs,
    check_sweep,
    check_titles,
    check_units,
    is_method,
)
from nctransfer.config.study import Model, Study, describe
from nctransfer.config.training import TrainingSettings, training_problems
from nctransfer.data.dataset import data_set
from nctransfer.errors import ConfigError
from nctransfer.finetuning import methods
from nctransfer.finetuning.method import method_facts
from nctransfer.models import unit_layouts
from nctransfer.probing import solvers
from nctransfer.suggestions import suggestion
from nctransfer.training import losses
from nctransfer.transferability import scores

# What a figure's or table's key may not end with: with it, it would be the name of another one's file.
SUFFIXES = (".pdf", ".png", ".csv", ".json", ".md", ".tex", ".html")


def check(named: Named) -> Iterator[str]:
    """Check what one key says of another, and names against what there is.

    Args:
        named: the study of what is sound, and the names of all that was given.
    """
    study = named.study
    configuration = study.configuration
    for key, entry in configuration.datasets.items():
        dataset = data_set(entry)
        for path, message in dataset.problems():
            # files and folders are looked for when a target needs them: other entries cost nothing
            if path[:1] not in [(name,) for name in dataset.paths]:
                yield f"{key_path(('datasets', key, *path))}: {message}"
    for key, model in study.models.items():
        yield from _check_model(key, model, named)
    yield from check_variant("probes.solver", solvers, configuration.probes.solver)
    yield from _check_training("training", configuration.training)
    for key, entry in configuration.finetuned.items():
        yield from check_finetuned(f"finetuned.{key}", entry, named)
    for section in ("figures", "tables"):
        for key, picture in configuration.pictures(section).items():
            if key.endswith(SUFFIXES):
                yield f"{section}: {key!r} ends like a file; call it {key.rpartition('.')[0]!r}"
            for index, panel in enumerate(picture.panels):
                yield from _check_panel(f"{section}.{key}.panels[{index}]", picture, panel, named)
            if section == "tables":
                yield from check_titles(f"tables.{key}", picture.panels, configuration.style)
    yield from _check_rank(named)
    yield from _check_report(study)
    for network in ("convolutional", "transformer"):
        for method in getattr(configuration.finetuning.rates, network):
            yield from check_variant(f"finetuning.rates.{network}.{method}", methods, method)


def _check_report(study: Study) -> Iterator[str]:
    """Refuse a figure or table that is not there; those of rankings are."""
    configuration = study.configuration
    known = [
        key
        for section in ("figures", "tables")
        for key in (*configuration.pictures(section), *picture_keys(configuration, section))
    ]
    for index, key in enumerate(configuration.report.pictures or ()):
        if key not in known:
            close = f"{suggestion(key, known)}; there are: {', '.join(known)}"
            yield f"report.pictures[{index}]: no {key!r} in figures and tables{close}"


# --- panels ---------------------------------------------------------------------------------


def _check_panel(where: str, picture: PictureSettings, panel: PanelSettings, named: Named) -> Iterator[str]:
    study, kind = named.study, picture.kind
    for field, section in (("model", "models"), ("dataset", "datasets"), ("nc1_on", "datasets")):
        if (name := getattr(panel, field, None)) is not None:
            yield from named.check(f"{where}.{field}", name, section)
    match panel:
        case UnitsPanelSettings():
            yield from _check_pooling(where, panel.model, panel.pooling, study)
            if panel.model in study.models and study.kept_units(panel.model) != "all":
                kept = f"only the penultimate feature of {panel.model!r} is kept"
                yield f"{where}.model: {kept}; set its units: all"
        case SnapshotsPanelSettings():
            yield from _check_snapshots(f"{where}.model", panel.model, study)
        case EpisodesPanelSettings():
            yield from _check_series(where, panel.series, named)
            if not isinstance(panel, PointsPanelSettings):
                yield from _check_episodes(where, panel.dataset, study)
        case DataSetsPanelSettings():
            yield from _check_datasets(where, panel, named)
        case RunsPanelSettings():
            for index, sweep in enumerate(panel.runs):
                yield from check_sweep(f"{where}.runs[{index}]", panel.model, sweep, study)
            yield from check_runs(where, kind, panel, study)
            yield from _check_pooling(where, panel.model, panel.pooling, study)
        case RankingPanelSettings():
            datasets = study.configuration.rank.datasets
            if panel.rank not in datasets:
                ranked = ", ".join(datasets) or "none"
                yield f"{where}.rank: {panel.rank!r} is not ranked; rank.datasets holds: {ranked}"
        case DiagramPanelSettings():
            yield from _check_diagram(where, picture, panel, study)


def _check_pooling(where: str, model: str, pooling: str | None, study: Study) -> Iterator[str]:
    if model not in study.models:
        return
    try:
        poolings = describe(study.models[model].entry).poolings
    except ConfigError:
        return  # reported where the model is checked
    if pooling not in (None, *poolings):
        yield f"{where}.pooling: model {model!r} has no {pooling!r}; it has: {', '.join(poolings)}"


def _check_snapshots(where: str, key: str, study: Study) -> Iterator[str]:
    model = study.models.get(key)
    if model is None:
        return
    if not isinstance(model.entry, PretrainedModelSettings) or model.run is not None:
        yield f"{where}: {key!r} is not trained here, so it has no snapshots"
    elif model.snapshot_of is not None:
        yield f"{where}: {key!r} is itself a snapshot; name {model.snapshot_of!r}"
    elif not study.training(model.entry).snapshot_epochs:
        yield f"{where}: {key!r} takes no snapshots; set training.snapshot_every for it"


def _check_series(where: str, series: tuple[SeriesSettings, ...], named: Named) -> Iterator[str]:
    """Series that name their models one way, and points that are told apart by their names."""
    groups, points = named.study.groups(), []
    for index, part in enumerate(series):
        place = f"{where}.series[{index}]"
        if (part.group is None) == (part.models is None):
            yield f"{place}: takes either group or models"
        for label, model in (part.models or {}).items():
            yield from named.check(f"{place}.models.{label}", model, "models")
        if part.group is not None and part.group not in groups and not named.is_of_refused_family(part.group):
            close = f"{suggestion(part.group, groups)}; there are: {', '.join(sorted(groups))}"
            yield f"{place}.group: no {part.group!r} in families{close}"
        labels = part.models or groups.get(part.group or "", {})
        points += [f"{part.name} {label}".strip() for label in labels]
    for name in sorted({name for name in points if points.count(name) > 1}):
        yield f"{where}.series: two points are called {name!r}; name their series"


def _check_episodes(where: str, key: str, study: Study) -> Iterator[str]:
    """Whether a data set has the classes and images for an episode, as far as its entry tells."""
    dataset, episodes = study.configuration.datasets.get(key), study.configuration.few_shot
    if dataset is None:
        return  # other checks tell
    classes = len(dataset.classes) if dataset.classes else _known_classes(study, key)
    if classes is not None and classes < episodes.ways:
        yield (
            f"{where}.dataset: {key!r} has {classes} classes; an episode takes {episodes.ways} "
            "(few_shot.ways)"
        )
    needed = max(episodes.shots) + episodes.queries
    both = dataset.per_class, dataset.test_per_class
    if both[0] is not None and both[1] is not None and sum(both) < needed:
        yield (
            f"{where}.dataset: {key!r} has {sum(both)} images per class (per_class, test_per_class); an "
            f"episode takes {needed} (the most of few_shot.shots, and few_shot.queries)"
        )


def _known_classes(study: Study, key: str) -> int | None:
    """Number of classes of a data set of the user's is not counted before a target needs it."""
    dataset = data_set(study.configuration.datasets[key])
    return None if any(getattr(dataset.entry, name) for name in dataset.paths) else dataset.class_count()


def _check_datasets(where: str, panel: DataSetsPanelSettings, named: Named) -> Iterator[str]:
    """Data sets that are a point each: known, each once, and told apart by their names."""
    datasets, style = panel.datasets, named.study.configuration.style
    for index, dataset in enumerate(datasets):
        yield from named.check(f"{where}.datasets[{index}]", dataset, "datasets")
    for dataset in sorted({dataset for dataset in datasets if datasets.count(dataset) > 1}):
        yield f"{where}.datasets: {dataset!r} stands in it twice"
    names = [style.title(dataset) for dataset in dict.fromkeys(datasets)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{where}.datasets: two data sets are called {name!r}; tell them apart in style.titles"


def _check_diagram(
    where: str, picture: PictureSettings, panel: DiagramPanelSettings, study: Study
) -> Iterator[str]:
    """A model whose units are listed, and what a method does to them."""
    layout, units = getattr(picture, "layout", ""), panel.units or ()
    model = study.models.get(panel.model)
    if model is not None and model.run is not None:
        yield f"{where}.model: {panel.model!r} is a fine-tuned model; name {model.run.model!r}"
    for field in ("dataset", "method"):
        given = getattr(panel, field) is not None
        if layout == "tuning" and not given:
            yield f"{where}.{field}: missing; layout tuning needs it"
        if layout != "tuning" and given:
            yield f"{where}.{field}: has no meaning for layout {layout!r}"
    if panel.units is not None and panel.method is None:
        yield f"{where}.units: has no meaning for a panel without method"
    if panel.method is None:
        return
    yield from check_variant(f"{where}.method", methods, panel.method)
    if not is_method(panel.method):
        return
    facts = method_facts(panel.method)
    if not facts.trains:
        yield f"{where}.method: {panel.method!r} trains nothing, so there is nothing to show of it"
    elif facts.tunes_units and not units:
        yield f"{where}.method: {panel.method!r} tunes units; name them in units"
    elif units and not facts.tunes_units:
        yield f"{where}.units: method {panel.method!r} tunes no units of one's choice; leave it out"
    yield from check_units(f"{where}.units", units, panel.model, study)


# --- models -----------------------------------------------------------------------------------


def _check_training(where: str, training: TrainingSettings) -> Iterator[str]:
    yield from check_variant(f"{where}.loss", losses, training.loss)
    for key, message in training_problems(training):
        yield f"{where}.{key}: {message}"


def _in_their_words(line: str, axis: str) -> str:
    """Name what members of a family run through by its own key."""
    inner = {"heads": "projection.head"}.get(axis, f"{axis}.level")
    return line.replace(f".training.{inner}:", f".{axis}:") if axis else line


def _check_model(key: str, model: Model, named: Named) -> Iterator[str]:
    if model.is_derived:
        return  # what it is derived of is checked
    entry, study = model.entry, named.study
    member = model.group or f"models.{key}"
    where = member.partition(".members.")[0]  # what members share stands with the family
    if isinstance(entry, LocalModelSettings) and entry.architecture.startswith("open_clip/"):
        for name in ("mean", "std"):
            if getattr(entry, name) is None:
                yield f"{where}.{name}: missing; open_clip publishes its architectures with several"
    if entry.unit_layout is not None:
        yield from check_variant(f"{where}.unit_layout", unit_layouts, entry.unit_layout)
    if isinstance(entry, PretrainedModelSettings):
        yield from named.check(f"{where}.dataset", entry.dataset, "datasets")
        shared = set(_check_training("", study.configuration.training))  # the study's own are told once
        for line in _check_training("", study.training(entry)):
            if line not in shared:
                yield _in_their_words(f"{member}.training{line}", model.axis)
    try:
        describe(entry)
    except ConfigError as error:
        yield f"{where}.{error}" if str(error).startswith(("poolings:", "size:")) else f"{where}: {error}"


# --- rankings ----------------------------------------------------------------------------------


def _check_rank(named: Named) -> Iterator[str]:
    study = named.study
    rank, groups = study.configuration.rank, study.groups()
    for dataset in rank.datasets:
        yield from named.check("rank.datasets", dataset, "datasets")
    for model in rank.models:
        library, slash, _ = model.partition("/")
        if slash:
            if library not in LIBRARIES:
                yield f"rank.models: {model!r}: no library {library!r}; allowed: {', '.join(LIBRARIES)}"
        elif model not in groups:
            yield from named.check("rank.models", model, "models")
    for score in rank.scores:
        yield from check_variant("rank.scores", scores, score)
    if rank.datasets and not rank.models:
        yield "rank.models: empty, so there is nothing to rank on the data sets of rank.datasets"
    keys = [key for key in ranked_models(study.configuration, study.models) if key in study.models]
    yield from _check_twins(keys, study)
    yield from _check_ranked_runs(keys, study)


def _check_twins(keys: list[str], study: Study) -> Iterator[str]:
    """Refuse the same weights, shown images in the same way, under two keys: they would count twice."""
    first: dict[tuple[object, ...], str] = {}
    for key in keys:
        entry: ModelSettings = study.models[key].entry
        if not isinstance(entry, LibraryModelSettings) or study.models[key].run is not None:
            continue
        try:
            weights = weights_of(entry)
        except ConfigError:
            continue  # told where the model is checked
        twin = first.setdefault((*weights, study.preprocess(entry), entry.size, entry.unit_layout), key)
        if twin != key:
            yield f"rank.models: {twin!r} and {key!r} are the same weights; name one of them"


def _check_ranked_runs(keys: list[str], study: Study) -> Iterator[str]:
    """Fine-tuning runs to compare with: of models that can be tuned, each method in one place."""
    sweeps = study.configuration.rank.runs or ()
    used = [method for sweep in sweeps for method in sweep.methods]
    for method in sorted({method for method in used if used.count(method) > 1}):
        yield f"rank.runs: {method!r} stands in two entries, whose accuracies could not be told apart"
    for key in keys if sweeps else ():
        if study.models[key].run is not None:
            yield f"rank.models: {key!r} is itself fine-tuned, so rank.runs cannot tune it"
            continue
        for index, sweep in enumerate(sweeps):
            yield from check_sweep(f"rank.runs[{index}]", key, sweep, study)
