"""The configuration: a tree of typed, immutable settings, one class for each section."""

from collections.abc import Collection, Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, create_model

from nctransfer import variants
from nctransfer.collapse.settings import CollapseSettings
from nctransfer.config.finetuning import FineTunedSettings, FineTuningSettings, SweepSettings
from nctransfer.config.kinds import SECTIONS, kind_of
from nctransfer.config.models import (
    FamilySettings,
    LibraryModelSettings,
    LocalModelSettings,
    Preprocess,
    PretrainedModelSettings,
)
from nctransfer.config.panels import PanelSettings
from nctransfer.config.training import TrainingSettings
from nctransfer.data import sources
from nctransfer.data.settings import DataSetSettings
from nctransfer.features.settings import FeatureSettings
from nctransfer.few_shot.settings import FewShotSettings
from nctransfer.probing.settings import ProbesSettings
from nctransfer.reporting.settings import StyleSettings
from nctransfer.settings import (
    Count,
    Device,
    Integer,
    Key,
    Name,
    Natural,
    NonNegative,
    Positive,
    Settings,
    Unique,
)
from nctransfer.transferability.settings import ScoringSettings


class PathsSettings(Settings):
    """Folders outside results/."""

    downloads: Name = "downloads"
    """Where published data sets and weights are downloaded to, once for all studies."""


class RankSettings(ScoringSettings):
    """Transferability scores of models and units on data sets, side by side (`snakemake rank`).

    They go to `results/rank/<dataset>.parquet`, `tables/rank-<dataset>`, `figures/rank-<dataset>` and
    `figures/rank-<dataset>-units`.
    """

    datasets: Unique[str] = ()
    """Keys of the data sets."""
    models: Unique[str] = ()
    """The pool of models, by key, by group of a family (`<family>-<member>`), or as `library/name` or
    `library/name:weights` of timm, torchvision and open_clip, which is a model of its own, shown images as
    its library does."""
    runs: Annotated[tuple[SweepSettings, ...], Field(min_length=1)] | None = None
    """Fine-tuning runs of every model on every data set, whose accuracies the scores are compared with too;
    `null` compares with probes alone."""
    measured: str | None = None
    """CSV of accuracies that were measured elsewhere, columns dataset and model (keys) and accuracy (%),
    such as config/published/finetuned-supervised.csv; it must know every data set of the ranking."""
    resamples: Annotated[Integer, Field(ge=100)] = 2000
    """Number of resamples of the models behind the intervals of correlations."""


class OperationSettings(Settings):
    """How trainings behave while they run; changing it reruns nothing."""

    checkpoint_minutes: NonNegative = 10
    """Minutes between two checkpoints, from which an interrupted training goes on; 0 writes one after every
    epoch. A first stop signal (SIGTERM, Ctrl-C) writes one after the step under way."""
    prefix_cache_gb: NonNegative = 32
    """The most, in GB, that a fine-tuning run keeps of what its frozen units below the tuned one compute,
    so that it computes it once; on the GPU, in memory (of resources.mem_mb) or on disk, as far as half of
    what is free there goes. 0 keeps nothing."""
    tensorboard: bool = False
    """Whether trainings also log to logs/tensorboard (needs the package tensorboard)."""


class ReportSettings(Settings):
    """What `snakemake`, `figures`, `tables` and the report show, and the claims that the scorecard tests."""

    pictures: Unique[str] | None = None
    """Keys of figures and tables. What a claim needs beyond them is not drawn: it has not enough data.
    `null` takes all, and those of `rank`."""
    claims: Name | None = None
    """File of claims; `null` takes the paper's, config/claims.yaml, which explains itself."""


class StyleSectionSettings(StyleSettings):
    """How figures look; restyling reruns no science."""

    titles: dict[str, str] = {}
    """Names of data sets as figures write them, by key, such as {cifar10: CIFAR-10}."""

    def title(self, dataset: str) -> str:
        """Name of a data set as figures write it."""
        return self.titles.get(dataset, dataset)

    def look(self) -> StyleSettings:
        """How figures look, without names."""
        return StyleSettings(**{name: getattr(self, name) for name in StyleSettings.model_fields})


class ResourcesSettings(Settings):
    """What a job asks Snakemake (and a cluster) for; changing it reruns nothing."""

    threads: Count = 8
    """CPU threads of a job that computes, as far as the machine has them. Snakemake schedules them within
    `-j`, but a job uses them all: sums over fewer threads would differ in their last bits."""
    mem_mb: Annotated[Integer, Field(ge=100)] | None = None
    """Host memory of every job that computes, in MB. `null` estimates each job's: images, widths of the
    features, on `device: cpu` the network's maps. A retry asks for twice as much."""
    runtime: Count | None = None
    """Longest time of every job that computes, in minutes (clusters). `null` estimates each job's, with
    ample room: images, epochs, the network, the attack. A retry asks for twice as much."""
    runtime_limit: Count = 10080
    """Longest time that the cluster allows a job, in minutes; neither an estimate nor a retry asks for
    more. A training that needs longer goes on from its checkpoint when it is tried again."""
    runtime_factor: Positive = 1
    """Factor of estimated times; above 1 for a GPU slower than a V100, or where `device: auto` falls back
    to the CPU."""


class PictureSettings(Settings):
    """A figure or table."""

    kind: str
    """What is shown; a variant of `nctransfer.reporting.figures` or `tables`."""
    section: str | None = None
    """Part of the paper that it stands in, such as Section 3 (a table of NC1 measurements reads it)."""
    panels: tuple[PanelSettings, ...] = ()
    """Panels in reading order."""


def _data_set_classes() -> list[type[DataSetSettings]]:
    """The settings of every source, with its name as the value of ``source``."""
    classes: list[type[DataSetSettings]] = []
    for name in variants.names(sources):
        base: Any = variants.settings_class(sources, name, DataSetSettings)
        source: Any = (Literal[name], Field(description="Where the images come from."))
        classes.append(create_model(base.__name__, __base__=base, __module__=base.__module__, source=source))
    return classes


def _picture_classes(section: str) -> list[type[PictureSettings]]:
    """The settings of every kind of figure or table: its panels, and the options that it reads."""
    classes: list[type[PictureSettings]] = []
    for name in variants.names(SECTIONS[section]):
        kind = kind_of(section, name)
        bases: Any = (*kind.options, PictureSettings)
        fields: dict[str, Any] = {"kind": (Literal[name], Field(description=f"{kind.shows}."))}
        if kind.panel is not None:
            panels = Annotated[tuple[kind.panel, ...], Field(min_length=1)]  # type: ignore[name-defined]
            fields["panels"] = (panels, Field(description="Panels in reading order."))
        else:
            fields["panels"] = (tuple[()], Field((), description="None: it shows the configuration itself."))
        title = f"{name.title().replace('_', '')}{section.title().removesuffix('s')}Settings"
        classes.append(create_model(title, __base__=bases, __doc__=f"{kind.shows}.", **fields))
    return classes


# Of sections whose entries are of several classes, the classes and the key that tells which.
ENTRIES: dict[str, tuple[str, list[type[Any]]]] = {
    "datasets": ("source", _data_set_classes()),
    "models": ("source", [LibraryModelSettings, LocalModelSettings, PretrainedModelSettings]),
    "figures": ("kind", _picture_classes("figures")),
    "tables": ("kind", _picture_classes("tables")),
}


def _one_of(section: str) -> Any:
    key, classes = ENTRIES[section]
    return Annotated[reduce(or_, classes), Field(discriminator=key)]


AnyDataSet: TypeAlias = _one_of("datasets")  # type: ignore[valid-type]
AnyModel: TypeAlias = _one_of("models")  # type: ignore[valid-type]
AnyFigure: TypeAlias = _one_of("figures")  # type: ignore[valid-type]
AnyTable: TypeAlias = _one_of("tables")  # type: ignore[valid-type]


def keys_of(section: str, entry: Mapping[str, Any]) -> Collection[str] | None:
    """Keys that an entry of a section may have; None where it does not tell of which class it is."""
    key, classes = ENTRIES[section]
    for settings in classes:
        if entry.get(key) in get_args(settings.model_fields[key].annotation):
            return settings.model_fields
    return None


class Configuration(Settings):
    """nctransfer configuration."""

    study: Key | None = None
    """Subfolder of results/, figures/, tables/ and logs/ that this configuration writes to. `null` (the
    paper) writes to the folders themselves. Every overlay has to set it."""
    seed: Natural = 0
    """Seed from which every job derives its own (job name and this number)."""
    device: Device = "auto"
    """Where torch computes; `auto` takes a GPU where there is one and the job was given one."""
    paths: PathsSettings = PathsSettings()
    """Folders outside results/."""
    preprocess: Preprocess = "paper"
    """How images meet a model's input size: `paper` resizes them to the square, whatever their shape
    (bilinear); `native` is the transform that the model's library publishes with the weights."""
    datasets: dict[Key, AnyDataSet] = {}
    """The data sets, by key. Entries that no target needs cost nothing."""
    models: dict[Key, AnyModel] = {}
    """The pre-trained models, by key. Entries that no target needs cost nothing."""
    rank: RankSettings = RankSettings()
    """Transferability scores of models and units on data sets, side by side (`snakemake rank`)."""
    families: dict[Key, FamilySettings] = {}
    """Families of source models that differ only in how they are pre-trained. A member's key is
    `<family>-<member><level>` or `<family>-<member>-<head>`, such as cifar100-resnet50-aug3 and
    cifar100-resnet18-supcon-mlp2; `snakemake models` lists them."""
    features: FeatureSettings = FeatureSettings()
    """The pass that leaves every unit's features."""
    metrics: CollapseSettings = CollapseSettings()
    """The collapse metrics."""
    probes: ProbesSettings = ProbesSettings()
    """Linear probes on frozen features; figures show the first learning rate and weight decay."""
    few_shot: FewShotSettings = FewShotSettings()
    """Few-shot episodes, drawn from all images of a data set, both splits together (few_shot)."""
    training: TrainingSettings = TrainingSettings()
    """How source models are trained (models of source `pretraining`)."""
    finetuning: FineTuningSettings = FineTuningSettings()
    """How models are fine-tuned; a run's own options override it."""
    finetuned: dict[Key, FineTunedSettings] = {}
    """Fine-tuned models, by key; each is a model like any other. Figures and tables also ask for runs of
    their own (`runs` of their panels)."""
    operation: OperationSettings = OperationSettings()
    """How trainings behave while they run; changing it reruns nothing."""
    report: ReportSettings = ReportSettings()
    """What `snakemake`, `figures`, `tables` and the report are about: all figures and tables, or some; and
    the claims that the scorecard tests on them."""
    figures: dict[Key, AnyFigure] = {}
    """The figures, by key; `figures/<key>.pdf` is the target."""
    tables: dict[Key, AnyTable] = {}
    """The tables, by key; `tables/<key>` is the target, or one form of it (`.csv`, `.md`, `.tex`,
    `.html`)."""
    style: StyleSectionSettings = StyleSectionSettings()
    """How figures look; restyling reruns no science."""
    resources: ResourcesSettings = ResourcesSettings()
    """What a job asks Snakemake (and a cluster) for; changing it reruns nothing."""

    def pictures(self, section: str) -> dict[str, PictureSettings]:
        """Figures or tables by key.

        Args:
            section: ``figures`` or ``tables``.
        """
        entries: dict[str, PictureSettings] = getattr(self, section)
        return entries
