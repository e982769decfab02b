"""Settings of the jobs that draw figures, write tables and describe the run."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from nctransfer.settings import Integer, Positive, Settings, SourceAccuracySettings

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


class ShownPanel(Settings):
    """Base of the panels of figures and tables."""

    title: str | None = None  # title above the panel


class UnitsPanel(ShownPanel):
    """The units of a model on a data set."""

    model: str  # key of the model
    view: str  # key of the model's view of the data set
    pooling: str  # pooling whose features are shown


class EpisodesPoint(Settings):
    """Few-shot episodes of a model."""

    series: str  # name of its series in the legend
    label: str  # its name within the series
    model: str  # key of the model
    view: str  # key of the model's view of the downstream data set


class Point(EpisodesPoint):
    """NC1 and transfer accuracy of a model."""

    nc1_view: str  # key of the model's view of the data on which NC1 is measured


class EpisodesPanel(ShownPanel):
    """Few-shot episodes of several models."""

    points: tuple[EpisodesPoint, ...]  # one entry per model


class PointsPanel(ShownPanel):
    """Models, or one model on several data sets, one point each."""

    dataset: str | None = None  # title of the downstream data set; `null` if each point has its own
    # title of the data set on which NC1 is measured; `null` if each point has its own
    nc1_dataset: str | None = None
    split: str  # split on which NC1 is measured
    abscissa: str | None = None  # quantity on the horizontal axis
    points: tuple[Point, ...]  # the points, in order


class Snapshot(Settings):
    """A model after an epoch of its training."""

    epoch: int  # number of completed epochs
    model: str  # key of the snapshot


class SnapshotsPanel(ShownPanel):
    """The snapshots of a model."""

    model: str  # key of the model
    view: str  # key of the model's view of the data that are measured
    snapshots: tuple[Snapshot, ...]  # the snapshots, by epoch


class RankingPanel(ShownPanel):
    """Models and units ranked on a data set."""

    dataset: str  # key of the data set


class ShownRun(Settings):
    """A fine-tuning run."""

    run: str  # key of the run
    model: str  # key of the tuned model with the measured features
    method: str  # name of the method
    units: tuple[int, ...]  # the tuned units, from 1
    per_class: int | None  # training images per class; `null` for all
    learning_rate: float | None  # initial learning rate of the cosine decay; `null` if nothing trains
    weight_decay: float | None  # weight decay; `null` if nothing trains
    rank: int | None  # rank of the adapters, if there are any
    seed: int  # number of the repetition, from 0


class RunsPanel(ShownPanel):
    """Fine-tuning runs of a model on a data set."""

    model: str  # key of the base model
    dataset: str  # title of the data set
    view: str  # key of the model's view of the data set
    pooling: str  # pooling whose features are shown
    depth: int  # number of the model's units
    abscissa: str | None = None  # quantity on the horizontal axis
    note: str | None = None  # remark in the panel
    runs: tuple[ShownRun, ...]  # the runs, in order


class MethodRates(Settings):
    """Learning rates and weight decays of a method that a search is compared with, as pairs."""

    in_use: tuple[float, float] | None  # of the section `finetuning`; `null` if it has none
    published: tuple[float, float] | None  # of the paper's search; `null` if there is none


class SearchPanel(RunsPanel):
    """Fine-tuning runs over a grid of learning rates and weight decays."""

    validation: int  # number of images held out of the training split, on which the accuracies are measured
    rates: dict[str, MethodRates]  # pairs for comparison, by method


class DiagramPanel(ShownPanel):
    """The units of a model, and the effect of a method on them."""

    model: str  # key of the model
    method: str | None = None  # name of a fine-tuning method
    units: tuple[int, ...] = ()  # the units that it tunes
    dataset: str | None = None  # title of the downstream data set; the classifier has its classes
    classes: int | None = None  # number of classes; `null` if it is only known from the images
    hidden: int | None = None  # width of the classifier's hidden layer, if it has one


class NC1Row(Settings):
    """How the figures and tables of one section show NC1, in the order of the configuration."""

    section: str  # section of the paper; empty if the configuration names none
    networks: Literal["pre-trained", "fine-tuned"]  # the networks whose NC1 is measured
    data: str  # `source`, `downstream` or `source and downstream`
    features: tuple[str, ...]  # features on which NC1 is measured
    images: tuple[str, ...]  # splits on which NC1 is measured
    pictures: tuple[str, ...]  # keys of the figures and tables
    what: tuple[str, ...]  # what they show
    models: tuple[str, ...]  # keys of the models; base models if they are fine-tuned
    pool: tuple[str, ...]  # the models in short: `10 of` a family, or the key of a model without a family
    runs: tuple[str, ...]  # keys of the fine-tuning runs
    datasets: tuple[str, ...]  # titles of the data sets on which NC1 is measured


# --- jobs ------------------------------------------------------------------------------------

Shown = TypeVar("Shown", bound=Settings)


class PictureSettings(Settings, Generic[Shown]):
    """A figure or table."""

    kind: str  # variant of `nctransfer.reporting.figures` or `tables`
    panels: tuple[Shown, ...]  # the panels
    # name, model and view of every tidy table, in the order of the inputs
    tables: tuple[tuple[str, str, str], ...]
    smaller: tuple[str, ...] = ()  # in what it is smaller than the paper's, other networks first, in words
    sources: tuple[SourceAccuracySettings, ...] = ()  # accuracies of the models on their source data
    learning_rate: float | None = None  # learning rate of the probes that are shown; `null` if none are
    weight_decay: float | None = None  # weight decay of the probes that are shown; `null` if none are


class Window(Settings):
    """What the axes of a published panel show."""

    panel: str  # letter of the panel
    title: str  # title above it
    ranges: dict[str, tuple[float, float]]  # low and high end of an axis, by the column of the figure's CSV


class FigureSettings(PictureSettings[Shown], Generic[Shown]):
    """A figure."""

    style: StyleSettings  # style of the figure
    seed: int  # seed of resampling and of the spread of points
    fit: Fit = "nc1"  # quantity in which fits are linear
    curve: Curve = "line"  # what is drawn through the points
    windows: tuple[Window, ...] = ()  # published panels whose axes are framed in the PNG


class DiagramSettings(FigureSettings[DiagramPanel]):
    """A diagram."""

    layout: Layout  # content of the diagram: probes of every unit, a method, or the units that can be tuned


class TableSettings(PictureSettings[Shown], Generic[Shown]):
    """A table."""


class Listed(Settings):
    """A figure or table as REPORT.md lists it."""

    path: str  # path of its files, without a suffix
    name: str  # name for readers, such as Figure 3
    shows: str  # what it shows, in a few words


class OverviewJobSettings(Settings):
    """Settings of the job that writes REPORT.md."""

    study: str | None  # name of the study
    setting: str  # A sentence about the set-up of the figures and tables
    results: str  # the study's folder of results
    figures: tuple[Listed, ...]  # the figures, in order
    tables: tuple[Listed, ...]  # the tables, in order


class ProvenanceJobSettings(Settings):
    """Settings of the job that collects provenance."""

    configuration: str  # digest of the configuration
    results: str  # the study's folder of results, where the ledger of adoptions is


class ListingJobSettings(Settings):
    """Settings of the job that lists models."""

    models: tuple[tuple[str, str, str], ...]  # key, network and origin of each model
