"""Checks that types cannot express: references between keys, and names. Each mistake is one line."""

from collections.abc import Iterator

from nctransfer.catalog.model_facts import LIBRARIES
from nctransfer.config import panels, run_checks
from nctransfer.config.configuration import PictureSettings
from nctransfer.config.mistakes import key_path
from nctransfer.config.models import (
    LibraryModelSettings,
    LocalModelSettings,
    ModelSettings,
    PretrainedModelSettings,
)
from nctransfer.config.ranking import picture_keys, ranked_models
from nctransfer.config.references import Named, check_variant
from nctransfer.config.source_accuracy import weights_of
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

# A key of a figure or table must not end with a file suffix: the files of another one could have its name.
SUFFIXES = (".pdf", ".png", ".csv", ".json", ".md", ".tex", ".html")


def check(named: Named) -> Iterator[str]:
    """Check references between keys, and that names exist."""
    study = named.study
    configuration = study.configuration
    for key, entry in configuration.datasets.items():
        dataset = data_set(entry)
        for path, message in dataset.problems():
            # files and folders are checked when a target needs them: unused entries cost nothing
            if path[:1] not in [(name,) for name in dataset.paths]:
                yield f"{key_path(('datasets', key, *path))}: {message}"
    for key, model in study.models.items():
        yield from _check_model(key, model, named)
    yield from check_variant("probes.solver", solvers, configuration.probes.solver)
    if configuration.features.engine == "openvino":
        # jobs that ask for a GPU, or are planned for one, would wait for what they do not use
        if configuration.device != "cpu":
            yield "features.engine: 'openvino' computes on the CPU; set device: cpu, or engine: torch"
        if configuration.features.fold_batch_norm:
            yield "features.fold_batch_norm: 'openvino' always folds what it can; leave it out"
    yield from _check_training("training", configuration.training)
    for key, entry in configuration.finetuned.items():
        yield from run_checks.check_finetuned(f"finetuned.{key}", entry, named)
    for section in ("figures", "tables"):
        for key, picture in configuration.pictures(section).items():
            if key.endswith(SUFFIXES):
                yield f"{section}: {key!r} ends like a file; call it {key.rpartition('.')[0]!r}"
            for index, panel in enumerate(picture.panels):
                yield from _check_panel(f"{section}.{key}.panels[{index}]", picture, panel, named)
            if section == "tables":
                yield from run_checks.check_titles(f"tables.{key}", picture.panels, configuration.style)
    yield from _check_rank(named)
    yield from _check_report(study)
    for network in ("convolutional", "transformer"):
        for method in getattr(configuration.finetuning.rates, network):
            yield from check_variant(f"finetuning.rates.{network}.{method}", methods, method)


def _check_report(study: Study) -> Iterator[str]:
    """The figures and tables of the report must exist; those of rankings do."""
    configuration = study.configuration
    keys: list[str] = []
    for section in ("figures", "tables"):
        keys += [*configuration.pictures(section), *picture_keys(configuration, section)]
    for index, key in enumerate(configuration.report.pictures or ()):
        if key not in keys:
            close = f"{suggestion(key, keys)}; there are: {', '.join(keys)}"
            yield f"report.pictures[{index}]: no {key!r} in figures and tables{close}"


def _check_panel(
    where: str, picture: PictureSettings, panel: panels.PanelSettings, named: Named
) -> Iterator[str]:
    study, kind = named.study, picture.kind
    for field, section in (("model", "models"), ("dataset", "datasets"), ("nc1_on", "datasets")):
        if (name := getattr(panel, field, None)) is not None:
            yield from named.check(f"{where}.{field}", name, section)
    match panel:
        case panels.UnitsPanelSettings():
            yield from _check_pooling(where, panel.model, panel.pooling, study)
            if panel.model in study.models and study.kept_units(panel.model) != "all":
                problem = f"only the penultimate feature of {panel.model!r} is kept"
                yield f"{where}.model: {problem}; set its units: all"
        case panels.SnapshotsPanelSettings():
            yield from _check_snapshots(f"{where}.model", panel.model, study)
        case panels.EpisodesPanelSettings():
            yield from _check_series(where, panel.series, named)
            if not isinstance(panel, panels.PointsPanelSettings):
                yield from _check_episodes(where, panel.dataset, study)
        case panels.DataSetsPanelSettings():
            yield from _check_datasets(where, panel, named)
        case panels.RunsPanelSettings():
            for index, sweep in enumerate(panel.runs):
                yield from run_checks.check_sweep(f"{where}.runs[{index}]", panel.model, sweep, study)
            yield from run_checks.check_runs(where, kind, panel, study)
            yield from _check_pooling(where, panel.model, panel.pooling, study)
        case panels.RankingPanelSettings():
            datasets = study.configuration.rank.datasets
            if panel.rank not in datasets:
                ranked = ", ".join(datasets) or "none"
                yield f"{where}.rank: {panel.rank!r} is not ranked; rank.datasets holds: {ranked}"
        case panels.DiagramPanelSettings():
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


def _check_series(where: str, series: tuple[panels.SeriesSettings, ...], named: Named) -> Iterator[str]:
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
        yield f"{where}.series: two points have the name {name!r}; name their series"


def _check_episodes(where: str, key: str, study: Study) -> Iterator[str]:
    """Whether a data set has enough classes and images for an episode, as far as its entry says."""
    dataset, episodes = study.configuration.datasets.get(key), study.configuration.few_shot
    if dataset is None:
        return  # reported by other checks
    facts = data_set(dataset)
    # the user's own files are only read when a target needs them
    are_own = any(getattr(dataset, name) for name in facts.paths)
    classes = len(dataset.classes) if dataset.classes else None if are_own else facts.class_count()
    if classes is not None and classes < episodes.ways:
        takes = f"an episode takes {episodes.ways} (few_shot.ways)"
        yield f"{where}.dataset: {key!r} has {classes} classes; {takes}"
    needed = max(episodes.shots) + episodes.queries
    images = dataset.per_class, dataset.test_per_class
    if images[0] is not None and images[1] is not None and sum(images) < needed:
        yield (
            f"{where}.dataset: {key!r} has {sum(images)} images per class (per_class, test_per_class); an "
            f"episode takes {needed} (the most of few_shot.shots, and few_shot.queries)"
        )


def _check_datasets(where: str, panel: panels.DataSetsPanelSettings, named: Named) -> Iterator[str]:
    datasets, style = panel.datasets, named.study.configuration.style
    for index, dataset in enumerate(datasets):
        yield from named.check(f"{where}.datasets[{index}]", dataset, "datasets")
    for dataset in sorted({dataset for dataset in datasets if datasets.count(dataset) > 1}):
        yield f"{where}.datasets: {dataset!r} is listed twice"
    names = [style.title(dataset) for dataset in dict.fromkeys(datasets)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{where}.datasets: two data sets have the name {name!r}; change one of them in style.titles"


def _check_diagram(
    where: str, picture: PictureSettings, panel: panels.DiagramPanelSettings, study: Study
) -> Iterator[str]:
    layout, units = getattr(picture, "layout", ""), panel.units or ()
    model = study.models.get(panel.model)
    if model is not None and model.run is not None:
        yield f"{where}.model: {panel.model!r} is a fine-tuned model; name {model.run.model!r}"
    for field in ("dataset", "method"):
        is_set = getattr(panel, field) is not None
        if layout == "tuning" and not is_set:
            yield f"{where}.{field}: missing; layout tuning needs it"
        if layout != "tuning" and is_set:
            yield f"{where}.{field}: has no meaning for layout {layout!r}"
    if panel.units is not None and panel.method is None:
        yield f"{where}.units: has no meaning for a panel without method"
    if panel.method is None:
        return
    yield from check_variant(f"{where}.method", methods, panel.method)
    if not run_checks.is_method(panel.method):
        return
    facts = method_facts(panel.method)
    if not facts.trains:
        yield f"{where}.method: {panel.method!r} trains nothing, so there is nothing to show"
    elif facts.tunes_units and not units:
        yield f"{where}.method: {panel.method!r} tunes units; name them in units"
    elif units and not facts.tunes_units:
        yield f"{where}.units: method {panel.method!r} has no choice of units; leave it out"
    yield from run_checks.check_units(f"{where}.units", units, panel.model, study)


def _check_training(where: str, training: TrainingSettings) -> Iterator[str]:
    yield from check_variant(f"{where}.loss", losses, training.loss)
    for key, message in training_problems(training):
        yield f"{where}.{key}: {message}"


def _check_model(key: str, model: Model, named: Named) -> Iterator[str]:
    if model.is_derived:
        return  # the model that it is derived from is checked
    entry, study = model.entry, named.study
    member = model.group or f"models.{key}"
    where = member.partition(".members.")[0]  # shared keys are set in the family
    if isinstance(entry, LocalModelSettings) and entry.architecture.startswith("open_clip/"):
        for name in ("mean", "std"):
            if getattr(entry, name) is None:
                yield f"{where}.{name}: missing; open_clip publishes its architectures with several"
    if entry.unit_layout is not None:
        yield from check_variant(f"{where}.unit_layout", unit_layouts, entry.unit_layout)
    if isinstance(entry, PretrainedModelSettings):
        yield from named.check(f"{where}.dataset", entry.dataset, "datasets")
        for dataset in entry.sizes:
            yield from named.check(f"{where}.sizes", dataset, "datasets")
        shared = set(_check_training("", study.configuration.training))  # the study's own are reported once
        # the key in which family members differ is named as the family does
        inner = {"heads": "projection.head"}.get(model.axis, f"{model.axis}.level")
        for line in _check_training("", study.training(entry)):
            if line not in shared:
                own = f"{member}.training{line}"
                yield own.replace(f".training.{inner}:", f".{model.axis}:") if model.axis else own
    try:
        describe(entry)
        for dataset in getattr(entry, "sizes", {}):
            describe(entry, dataset)
    except ConfigError as error:
        with_key = str(error).startswith(("poolings:", "size:", "options:"))
        yield f"{where}.{error}" if with_key else f"{where}: {error}"


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
    """Refuse two keys of the same weights with the same image transform, which would count twice."""
    first: dict[tuple[object, ...], str] = {}
    for key in keys:
        entry: ModelSettings = study.models[key].entry
        if not isinstance(entry, LibraryModelSettings) or study.models[key].run is not None:
            continue
        try:
            weights = weights_of(entry)
        except ConfigError:
            continue  # reported where the model is checked
        twin = first.setdefault((*weights, study.preprocess(entry), entry.size, entry.unit_layout), key)
        if twin != key:
            yield f"rank.models: {twin!r} and {key!r} are the same weights; name one of them"


def _check_ranked_runs(keys: list[str], study: Study) -> Iterator[str]:
    """Fine-tuning runs for the comparison: models must be tunable, and each method listed once."""
    sweeps = study.configuration.rank.runs or ()
    used = [method for sweep in sweeps for method in sweep.methods]
    for method in sorted({method for method in used if used.count(method) > 1}):
        yield f"rank.runs: {method!r} is listed in two entries, whose accuracies could not be told apart"
    for key in keys if sweeps else ():
        if study.models[key].run is not None:
            yield f"rank.models: {key!r} is itself fine-tuned, so rank.runs cannot tune it"
            continue
        for index, sweep in enumerate(sweeps):
            yield from run_checks.check_sweep(f"rank.runs[{index}]", key, sweep, study)
