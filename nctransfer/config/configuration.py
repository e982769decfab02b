"""The configuration: a tree of typed, immutable settings, one class per section."""

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
from nctransfer.runtime.download_settings import DownloadSettings
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
    Shown,
    Unique,
)
from nctransfer.transferability.settings import ScoringSettings


class PathsSettings(Settings):
    """Folders outside the results."""

    downloads: Name = "downloads"
    """Folder for downloaded data sets and weights, shared by all studies."""


class RankSettings(ScoringSettings):
    """Ranking of models and units by transferability scores, per data set (`snakemake rank`).

    Outputs: `results/rank/<dataset>.parquet`, `tables/rank-<dataset>`, `figures/rank-<dataset>` and
    `figures/rank-<dataset>-units`.
    """

    datasets: Unique[str] = ()
    """Keys of the data sets."""
    models: Unique[str] = ()
    """The candidate models: a model's key, a group of a family (`<family>-<member>`), or `library/name` or
    `library/name:weights` of timm, torchvision and open_clip. The latter adds a model that uses its library's
    own image transform."""
    runs: Annotated[tuple[SweepSettings, ...], Field(min_length=1)] | None = None
    """Fine-tuning runs of every model on every data set, whose accuracies are also compared with the scores;
    `null` compares with linear probes only."""
    measured: str | None = None
    """CSV file of accuracies measured elsewhere, with the columns dataset and model (keys) and accuracy (%),
    such as config/published/finetuned-supervised.csv; it must cover every data set of the ranking."""


class OperationSettings(Settings):
    """How trainings and downloads run; a change reruns nothing."""

    checkpoint_minutes: NonNegative = 10
    """Minutes between two checkpoints, from which an interrupted training continues; 0 writes one after every
    epoch. The first stop signal (SIGTERM, Ctrl-C) writes one after the current step."""
    prefix_cache_gb: NonNegative = 32
    """Largest size, in GB, of the cache of a fine-tuning run for the outputs of the frozen units below the
    tuned one, so that they are computed only once. It is kept on the GPU, in memory (part of
    resources.mem_mb) or on disk, up to half of the free space there. 0 caches nothing."""
    tensorboard: bool = False
    """Whether trainings also log to logs/tensorboard (needs the package tensorboard)."""
    downloads: DownloadSettings = DownloadSettings()
    """Limits of downloads."""


class RerunsSettings(Settings):
    """What counts as a change of software and of the user's files."""

    software: Literal["warn", "rerun", "ignore"] = "warn"
    """What happens to results of jobs that used other versions of Python or of a library than those installed
    where the run is planned: `warn` keeps and names them, `rerun` makes them again, `ignore` keeps them.
    Every output says with what it was made, also CUDA and cuDNN, and the provenance page warns of a mixture.
    Not compared are figures and tables, CUDA and cuDNN, and jobs in containers, conda environments or pods,
    which have software of their own."""
    identity: Literal["contents", "size"] = "contents"
    """What tells the user's own files apart: their `contents` (SHA-256, computed once per file) or only names
    and `size`, for data too large to be read before a run: a file that is replaced by another of the same
    size is then taken for the old one. Every output names it. Changing it runs again what reads such
    files."""


class ReportSettings(Settings):
    """What `snakemake` and the report contain, and which claims the scorecard tests."""

    pictures: Unique[str] | None = None
    """Keys of figures and tables. Claims that need other ones have "not enough data". `null` takes all,
    including those of `rank`."""
    claims: Name | None = None
    """File of claims; `null` takes the paper's, config/claims.yaml, which describes the format."""


class StyleSectionSettings(StyleSettings):
    """How figures look; a change recomputes no results, it only redraws the figures."""

    titles: dict[str, Shown] = {}
    """Display names of data sets in figures, by key, such as {cifar10: CIFAR-10}."""
    windows: Name | None = None
    """CSV file of axis ranges of published figures, such as config/published/paper/axes.csv: the PNG of a
    figure, which the report shows, then has a dashed frame of them in each panel of the same title; the PDF
    has none. `null` draws none."""

    def title(self, dataset: str) -> str:
        """Display name of a data set."""
        return self.titles.get(dataset, dataset)

    def look(self) -> StyleSettings:
        """Style of the figures, without the display names."""
        return StyleSettings(**{name: getattr(self, name) for name in StyleSettings.model_fields})


class ResourcesSettings(Settings):
    """Resources that a job requests from Snakemake and the cluster; a change reruns nothing."""

    threads: Count = 8
    """CPU threads of a computing job, at most as many as the machine has. Snakemake schedules them within
    `-j`, but a job always uses all of them: with fewer threads, sums would differ in their last bits."""
    mem_mb: Annotated[Integer, Field(ge=100)] | None = None
    """Host memory of every computing job, in MB. `null` estimates it per job from the images, the widths of
    the features and, with `device: cpu`, the network's activations. A retry requests twice as much."""
    runtime: Count | None = None
    """Time limit of every computing job, in minutes (clusters). `null` takes twice the
    estimate for a V100, or for the CPU with `device: cpu`. A retry requests twice as much."""
    runtime_limit: Count = 10080
    """Longest time limit that the cluster allows, in minutes; neither an estimate nor a retry requests more.
    A training that needs longer continues from its checkpoint when it is retried."""
    runtime_factor: Positive = 1
    """Factor on estimated times; set it above 1 for a GPU slower than a V100, or if `device: auto` uses the
    CPU."""


class PictureSettings(Settings):
    """A figure or table."""

    kind: str
    """What is shown; a variant of `nctransfer.reporting.figures` or `tables`."""
    section: str | None = None
    """Section of the paper whose question it answers, such as Section 3, also for a figure of the appendix
    (used by the table of NC1 measurements)."""
    panels: tuple[PanelSettings, ...] = ()
    """Panels in reading order."""


def _data_set_classes() -> list[type[DataSetSettings]]:
    """Settings of every data source, with the source's name as the only value of ``source``."""
    classes: list[type[DataSetSettings]] = []
    for name in variants.names(sources):
        base: Any = variants.settings_class(sources, name, DataSetSettings)
        source: Any = (Literal[name], Field(description="Where the images come from."))
        places = {"__base__": base, "__module__": base.__module__, "__doc__": base.__doc__}
        classes.append(create_model(base.__name__, **places, source=source))
    return classes


def _picture_classes(section: str) -> list[type[PictureSettings]]:
    """Settings of every kind of figure or table: its panels and its options."""
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


# For sections whose entries have several classes: the key that selects the class, and the classes.
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
    """Keys that are allowed in an entry of a section; None if its class is not known."""
    key, classes = ENTRIES[section]
    for settings in classes:
        if entry.get(key) in get_args(settings.model_fields[key].annotation):
            return settings.model_fields
    return None


class Configuration(Settings):
    """nctransfer configuration."""

    study: Key | None = None
    """Subfolder of results/, figures/, tables/ and logs/ for the outputs of this configuration. `null` (the
    paper) uses the folders themselves. Every overlay has to set it."""
    seed: Natural = 0
    """Seed; every job derives its own from this number and its name."""
    device: Device = "auto"
    """Device for torch; `auto` takes a GPU if there is one and the job was granted one."""
    paths: PathsSettings = PathsSettings()
    """Folders outside the results."""
    preprocess: Preprocess = "paper"
    """How images are brought to a model's input size: `paper` resizes them to a square whatever their aspect
    ratio (bilinear); `native` uses the transform that the model's library publishes with the weights."""
    datasets: dict[Key, AnyDataSet] = {}
    """The data sets, by key. Entries that no target needs cost nothing."""
    models: dict[Key, AnyModel] = {}
    """The pre-trained models, by key. Entries that no target needs cost nothing."""
    rank: RankSettings = RankSettings()
    """Ranking of models and units by transferability scores, per data set (`snakemake rank`)."""
    families: dict[Key, FamilySettings] = {}
    """Families of source models that differ only in their pre-training. A member's key is
    `<family>-<member><level>` or `<family>-<member>-<head>`, such as cifar100-resnet50-aug3 and
    cifar100-resnet18-supcon-mlp2; `snakemake models` lists them."""
    features: FeatureSettings = FeatureSettings()
    """Feature extraction: one forward pass that saves the features of all units."""
    metrics: CollapseSettings = CollapseSettings()
    """The collapse metrics."""
    probes: ProbesSettings = ProbesSettings()
    """Linear probes on frozen features; figures show the first learning rate and the first weight decay."""
    few_shot: FewShotSettings = FewShotSettings()
    """Few-shot episodes, drawn from all images of a data set (both splits together)."""
    training: TrainingSettings = TrainingSettings()
    """How source models are trained (models of source `pretraining`)."""
    finetuning: FineTuningSettings = FineTuningSettings()
    """How models are fine-tuned; a run's own options override it."""
    finetuned: dict[Key, FineTunedSettings] = {}
    """Fine-tuned models, by key; each is used like any other model. Figures and tables also request runs of
    their own (`runs` of their panels)."""
    operation: OperationSettings = OperationSettings()
    """How trainings run; a change reruns nothing."""
    reruns: RerunsSettings = RerunsSettings()
    """What counts as a change of software and of the user's files."""
    report: ReportSettings = ReportSettings()
    """What `snakemake` and the report contain (all figures and tables, or some of them), and which claims the
    scorecard tests."""
    figures: dict[Key, AnyFigure] = {}
    """The figures, by key; the target is `figures/<key>.pdf`."""
    tables: dict[Key, AnyTable] = {}
    """The tables, by key; the target is `tables/<key>`, or one file format of it (`.csv`, `.md`, `.tex`,
    `.html`)."""
    style: StyleSectionSettings = StyleSectionSettings()
    """How figures look; a change recomputes no results, it only redraws the figures."""
    resources: ResourcesSettings = ResourcesSettings()
    """Resources that a job requests from Snakemake and the cluster; a change reruns nothing."""

    def pictures(self, section: str) -> dict[str, PictureSettings]:
        """Entries of ``figures`` or ``tables`` (the section), by key."""
        entries: dict[str, PictureSettings] = getattr(self, section)
        return entries
