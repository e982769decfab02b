"""What is told to the jobs that draw figures, write tables and describe the run."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from nctransfer.settings import Integer, Positive, Settings

Color = Annotated[str, Field(pattern=r"^#[0-9A-Fa-f]{6}$")]
Fit = Literal["nc1", "log_nc1"]
Curve = Literal["line", "parabola", "path", "none"]
Layout = Literal["layerwise", "tuning", "candidates"]


class StyleSettings(Settings):
    """How figures look."""

    nc1_color: Color = "#0072B2"
    """Colour of NC1, as #rrggbb."""
    accuracy_color: Color = "#D55E00"
    """Colour of transfer accuracy, as #rrggbb."""
    fit_color: Color = "#404040"
    """Colour of fitted lines, as #rrggbb."""
    font_size: Positive = 8
    """Size of axis labels in points, at the printed size."""
    width: Positive = 6.5
    """Width of a figure in inches."""
    dpi: Annotated[Integer, Field(ge=50)] = 200
    """Resolution of the PNG beside each PDF, in dots per inch."""


# --- what a panel shows -------------------------------------------------------------------


class ShownPanel(Settings):
    """Base of what panels show."""

    title: str | None = None
    """Over the panel."""


class UnitsPanel(ShownPanel):
    """A model's units on a data set."""

    model: str
    """Key of the model."""
    view: str
    """Key of its view of the data set."""
    pooling: str
    """Pooling whose features are shown."""


class EpisodesPoint(Settings):
    """A model's few-shot episodes."""

    series: str
    """Name of its series in the legend."""
    label: str
    """Its name within the series."""
    model: str
    """Key of the model."""
    view: str
    """Key of its view of the downstream data set."""


class Point(EpisodesPoint):
    """A model's NC1 and transfer accuracy."""

    nc1_view: str
    """Key of its view of the data that NC1 is measured on."""


class EpisodesPanel(ShownPanel):
    """Few-shot episodes of several models."""

    points: tuple[EpisodesPoint, ...]
    """A model each."""


class PointsPanel(ShownPanel):
    """Models, or one model on several data sets, a point each."""

    dataset: str | None = None
    """Title of the downstream data set; `null` where each point has its own."""
    nc1_dataset: str | None = None
    """Title of the data set that NC1 is measured on; `null` where each point has its own."""
    split: str
    """Split that NC1 is measured on."""
    abscissa: str | None = None
    """What runs from left to right."""
    points: tuple[Point, ...]
    """The points, in order."""


class Snapshot(Settings):
    """A model as it was after an epoch."""

    epoch: int
    """Complete epochs."""
    model: str
    """Key of the snapshot."""


class SnapshotsPanel(ShownPanel):
    """A model's snapshots."""

    model: str
    """Key of the model."""
    view: str
    """Key of its view of the data that are measured."""
    snapshots: tuple[Snapshot, ...]
    """By epoch."""


class RankingPanel(ShownPanel):
    """Models and units ranked on a data set."""

    dataset: str
    """Key of the data set."""


class ShownRun(Settings):
    """A fine-tuning run."""

    run: str
    """Key of the run."""
    model: str
    """Key of the tuned model whose features are measured."""
    method: str
    """Name of the method."""
    units: tuple[int, ...]
    """The tuned units, from 1."""
    per_class: int | None
    """Training images per class; `null` for all."""
    learning_rate: float | None
    """At the start of the cosine; `null` where nothing trains."""
    weight_decay: float | None
    """Weight decay; `null` where nothing trains."""
    rank: int | None
    """Of adapters, where there are any."""
    seed: int
    """Number of the repetition, from 0."""


class RunsPanel(ShownPanel):
    """Fine-tuning runs of a model on a data set."""

    model: str
    """Key of the base model."""
    dataset: str
    """Title of the data set."""
    view: str
    """Key of the model's view of it."""
    pooling: str
    """Pooling whose features are shown."""
    depth: int
    """Number of the model's units."""
    abscissa: str | None = None
    """What runs from left to right."""
    runs: tuple[ShownRun, ...]
    """The runs, in order."""


class DiagramPanel(ShownPanel):
    """A model's units, and what a method does to them."""

    model: str
    """Key of the model."""
    method: str | None = None
    """Name of a fine-tuning method."""
    units: tuple[int, ...] = ()
    """The units that it tunes."""
    dataset: str | None = None
    """Title of the downstream data set, whose classes the classifier has."""
    classes: int | None = None
    """Their number; `null` where only the images tell."""
    hidden: int | None = None
    """Width of the classifier's hidden layer, where it has one."""


class NC1Row(Settings):
    """What the figures and tables of one section show of NC1, in the order of the configuration."""

    section: str
    """Of the paper; empty where the configuration names none."""
    data: str
    """`source`, `downstream` or `source and downstream`."""
    tuned: bool
    """Whether the models are fine-tuned."""
    features: str
    """Whose NC1 it is."""
    images: str
    """Of which split."""
    pictures: tuple[str, ...]
    """Keys of figures and tables."""
    what: tuple[str, ...]
    """What they show."""
    models: tuple[str, ...]
    """Keys of the models, base models where they are fine-tuned."""
    pool: tuple[str, ...]
    """The same in few words: `10 of` a family, or the key of a model that is of none."""
    runs: tuple[str, ...]
    """Keys of the fine-tuning runs."""
    datasets: tuple[str, ...]
    """Titles of the data sets that NC1 is measured on."""


# --- what a job is told ----------------------------------------------------------------------

Shown = TypeVar("Shown", bound=Settings)


class PictureSettings(Settings, Generic[Shown]):
    """A figure or table."""

    kind: str
    """Variant of `nctransfer.reporting.figures` or `tables`."""
    panels: tuple[Shown, ...]
    """What is shown, a panel each."""
    tables: tuple[tuple[str, str, str], ...]
    """Name, model and view of every tidy table, in the order of the inputs."""
    learning_rate: float | None = None
    """Of the probes that are shown; `null` where none are."""
    weight_decay: float | None = None
    """Of the probes that are shown; `null` where none are."""


class FigureSettings(PictureSettings[Shown], Generic[Shown]):
    """A figure."""

    style: StyleSettings
    """How it looks."""
    seed: int
    """Of resamples and of points that are spread."""
    fit: Fit = "nc1"
    """Abscissa of fitted laws."""
    curve: Curve = "line"
    """What is drawn through points."""


class DiagramSettings(FigureSettings[DiagramPanel]):
    """A figure of a model's units, or of what a method does to them."""

    layout: Layout
    """What is drawn: probes of every unit, a method, or the units that can be tuned."""


class TableSettings(PictureSettings[Shown], Generic[Shown]):
    """A table."""


class Listed(Settings):
    """A figure or table as REPORT.md lists it."""

    path: str
    """Of its files, without a suffix."""
    name: str
    """What readers call it."""
    shows: str
    """What it shows, in a line."""


class OverviewJobSettings(Settings):
    """What the job is told that writes REPORT.md."""

    study: str | None
    """Of the configuration."""
    setting: str
    """A sentence that says whose set-up the pictures are of."""
    results: str
    """Folder of the study's results."""
    figures: tuple[Listed, ...]
    """In order."""
    tables: tuple[Listed, ...]
    """In order."""


class ProvenanceJobSettings(Settings):
    """What the job is told that collects provenance."""

    configuration: str
    """Digest of the configuration."""
    logs: str
    """Folder of the study's logs."""


class ListingJobSettings(Settings):
    """What the job is told that lists models."""

    models: tuple[tuple[str, str, str], ...]
    """Key, network and origin of each."""
