"""Panels of figures and tables as the configuration writes them, by what they show."""

from typing import Annotated, Literal

from pydantic import Field

from nctransfer.config.finetuning import SweepSettings
from nctransfer.models.settings import Pooling
from nctransfer.reporting.settings import Curve, Fit, Layout
from nctransfer.settings import Count, Distinct, Settings

Keys = Annotated[tuple[str, ...], Field(min_length=1)]


class SeriesSettings(Settings):
    """A group of members of a family, or models by label."""

    name: str = ""
    """The series' name in the legend, such as `Aug.`."""
    group: str | None = None
    """Members of a family, `<family>-<member>`, such as cifar100-resnet50-aug."""
    models: Annotated[dict[str, str], Field(min_length=1)] | None = None
    """Keys of models by their label."""


class PanelSettings(Settings):
    """One panel."""

    title: str | None = None
    """Title over the panel; `null` names model and data set."""


class UnitsPanelSettings(PanelSettings):
    """A model's units on a data set."""

    model: str
    """Key of a model."""
    dataset: str
    """Key of the downstream data set."""
    pooling: Pooling | None = None
    """Pooling whose features are shown; `null` takes the model's first."""


class SnapshotsPanelSettings(PanelSettings):
    """A model's snapshots."""

    model: str
    """Key of a model that is trained here."""
    dataset: str | None = None
    """Key of the data set that is measured; `null` takes the model's source data set."""


class EpisodesPanelSettings(PanelSettings):
    """Few-shot episodes of several models."""

    dataset: str
    """Key of the data set that episodes are drawn from."""
    series: Annotated[tuple[SeriesSettings, ...], Field(min_length=1)]
    """Groups of points, such as networks."""


class PointsPanelSettings(EpisodesPanelSettings):
    """Several models on a data set, a point each."""

    dataset: str
    """Key of the downstream data set."""
    nc1_on: str | None = None
    """Key of the data set whose training images NC1 is measured on; `null` takes `dataset`."""


class DataSetsPanelSettings(PanelSettings):
    """A model on several data sets, a point each."""

    model: str
    """Key of a model."""
    datasets: Keys
    """Keys of data sets, a point each."""
    abscissa: Literal["nc1", "train_accuracy"]
    """What runs from left to right: NC1 on the training data, or the accuracy on them."""


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


class TunedUnitsPanelSettings(RunsPanelSettings):
    """Fine-tuning runs by the unit that is tuned, or by their number."""

    abscissa: Literal["unit", "count"]
    """What runs from left to right: the tuned unit, or the number of tuned units."""


class RankingPanelSettings(PanelSettings):
    """A ranking of models and units."""

    rank: str
    """Key of a data set of `rank` whose ranking is shown."""


class DiagramPanelSettings(PanelSettings):
    """A model's units, as they are or under a fine-tuning method."""

    model: str
    """Key of a model."""
    dataset: str | None = None
    """Key of the downstream data set, whose classes the classifier has (layout tuning)."""
    method: str | None = None
    """Fine-tuning method whose effect on the units is drawn (layout tuning)."""
    units: Distinct[Count] | None = None
    """Units that this method tunes (layout tuning)."""


# --- what figures say beside panels -------------------------------------------------------------


class FitOption(Settings):
    """Figures with a fitted law."""

    fit: Fit = "nc1"
    """Abscissa of fitted laws, nc1 (as the paper) or log_nc1."""


class CurveOption(Settings):
    """Figures of points."""

    curve: Curve = "line"
    """What is drawn through the points: a fitted line, a fitted parabola with its turning point, a path in
    the order of the points, or nothing."""


class LayoutOption(Settings):
    """Diagrams."""

    layout: Layout
    """What the diagram shows of a model's units: `layerwise` a linear probe on each, `tuning` what a
    fine-tuning method trains, `candidates` which of them can be tuned."""
