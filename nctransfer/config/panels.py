"""Settings of the panels of figures and tables, by what they show."""

from typing import Annotated, Literal

from pydantic import Field

from nctransfer.config.finetuning import RatesSettings, SweepSettings
from nctransfer.models.settings import Pooling
from nctransfer.reporting.settings import Curve, Fit, Layout
from nctransfer.settings import Count, Distinct, Name, Settings, Shown

Keys = Annotated[tuple[str, ...], Field(min_length=1)]


class SeriesSettings(Settings):
    """Points of a figure that belong together: members of a family, or listed models."""

    name: Shown = ""
    """Name of the series in the legend, such as `Aug.`."""
    group: str | None = None
    """Group of a family, `<family>-<member>`, such as cifar100-resnet50-aug."""
    models: Annotated[dict[Shown, str], Field(min_length=1)] | None = None
    """Keys of models, by their label."""


class PanelSettings(Settings):
    """One panel."""

    title: Shown | None = None
    """Title above the panel; `null` names model and data set."""


class UnitsPanelSettings(PanelSettings):
    """The units of a model on a data set."""

    model: str
    """Key of a model."""
    dataset: str
    """Key of the downstream data set."""
    pooling: Pooling | None = None
    """Pooling whose features are shown; `null` takes the model's first."""


class SnapshotsPanelSettings(PanelSettings):
    """The snapshots of a model."""

    model: str
    """Key of a model that is trained here."""
    dataset: str | None = None
    """Key of the data set for the measurements; `null` takes the model's source data set."""


class EpisodesPanelSettings(PanelSettings):
    """Few-shot episodes of several models."""

    dataset: str
    """Key of the data set from which episodes are drawn."""
    series: Annotated[tuple[SeriesSettings, ...], Field(min_length=1)]
    """Series of models, such as one per architecture."""


class PointsPanelSettings(EpisodesPanelSettings):
    """Several models on a data set, one point each."""

    dataset: str
    """Key of the downstream data set."""
    nc1_on: str | None = None
    """Key of the data set on whose training images NC1 is measured; `null` takes `dataset`."""


class DataSetsPanelSettings(PanelSettings):
    """A model on several data sets, one point each."""

    model: str
    """Key of a model."""
    datasets: Keys
    """Keys of data sets, one point each."""
    abscissa: Literal["nc1", "train_accuracy"]
    """Quantity on the horizontal axis: NC1 on the training data, or the training accuracy."""


class RunsPanelSettings(PanelSettings):
    """Fine-tuning runs of a model on a data set."""

    model: str
    """Key of the base model."""
    dataset: str
    """Key of the downstream data set."""
    runs: Annotated[tuple[SweepSettings, ...], Field(min_length=1)]
    """Sweeps of fine-tuning runs."""
    pooling: Pooling | None = None
    """Pooling whose features are shown; `null` takes the model's first."""


class SearchPanelSettings(RunsPanelSettings):
    """Fine-tuning runs over a grid of learning rates and weight decays."""

    dataset: str
    """Key of the downstream data set; it must hold out images for the choice (`validation`)."""
    published: dict[str, RatesSettings] = {}
    """By method, the pair that was published for the same search, for comparison."""


class SamplesPanelSettings(RunsPanelSettings):
    """Fine-tuning runs by the number of training images."""

    note: Shown | None = None
    """Remark in the panel, such as why a method is missing."""


class TunedUnitsPanelSettings(RunsPanelSettings):
    """Fine-tuning runs by the tuned unit, or by the number of tuned units."""

    abscissa: Literal["unit", "count"]
    """Quantity on the horizontal axis: the tuned unit, or the number of tuned units."""


class RankingPanelSettings(PanelSettings):
    """A ranking of models and units."""

    rank: str
    """Key of one of the data sets of `rank`."""


class DiagramPanelSettings(PanelSettings):
    """The units of a model, unchanged or with the effect of a fine-tuning method."""

    model: str
    """Key of a model."""
    dataset: str | None = None
    """Key of the downstream data set; the classifier has its classes (layout tuning)."""
    method: str | None = None
    """Fine-tuning method whose effect on the units is drawn (layout tuning)."""
    units: Distinct[Count] | None = None
    """Units that the method tunes (layout tuning)."""


class FitOption(Settings):
    """Option of figures with a fitted line."""

    fit: Fit = "nc1"
    """Quantity in which fits are linear: nc1 (as in the paper) or log_nc1."""


class CurveOption(Settings):
    """Option of figures of points."""

    curve: Curve = "line"
    """What is drawn through the points: a fitted line (where the interval of the correlation leaves out 0), a
    fitted parabola with its turning point, a path in the order of the points, or nothing."""


class PublishedOption(Settings):
    """Option of tables that have published counterparts."""

    published: Name | None = None
    """CSV file of published numbers, with columns of the table's own CSV, such as
    config/published/paper/table3.csv: below each row the table then shows the published numbers and the
    difference. `null` shows our numbers alone."""


class LayoutOption(Settings):
    """Option of diagrams."""

    layout: Layout
    """Content of the diagram: `layerwise` shows a linear probe on each unit, `tuning` what a fine-tuning
    method trains, `candidates` which units can be tuned."""
