"""Settings of scores and rankings."""

from typing import Annotated

from pydantic import Field

from nctransfer.settings import Device, Distinct, Integer, Name, Settings, SourceAccuracySettings, ViewNames

SCORES = (
    "nc1", "cdnv", "vci", "ncti", "logme", "h_score", "leep", "nce", "nleep", "transrate", "gbc", "parc",
    "sfda", "etran", "face",
)  # fmt: skip


class ScoringSettings(Settings):
    """Which scores are computed, and on how many images."""

    scores: Distinct[str] = SCORES
    """Variants of `nctransfer.transferability.scores`."""
    samples: Annotated[Integer, Field(ge=4)] | None = None
    """Largest number of training images that are scored, drawn with a seed in proportion to the classes;
    `null` takes all."""
    pair_samples: Annotated[Integer, Field(ge=4, le=20000)] = 2000
    """The same for scores that compare all pairs of images (parc); 20,000 need gigabytes of memory."""
    mixture_samples: Annotated[Integer, Field(ge=4)] | None = 10000
    """The same for scores that fit a mixture of Gaussians (nleep)."""


class ScoresJobSettings(ScoringSettings):
    """Settings of the job that scores the features of a model."""

    names: ViewNames
    """Model and view, repeated in every row."""
    pooling: str
    """Pooling whose features are scored."""
    seed: int
    """Seed of the draw of images: the same for all models."""
    device: Device
    """Device to compute on."""


class RankedModel(SourceAccuracySettings):
    """A model of a ranking, and the source of its accuracy on its source data."""

    view: str
    """Key of its view of the data set."""


class MeasuredAccuracies(Settings):
    """Accuracies that were measured outside this program."""

    name: Name
    """Name of their table."""
    accuracies: dict[str, float]
    """Accuracy in percent, by model."""


class RankingJobSettings(Settings):
    """Settings of the job that ranks models and units on a data set."""

    dataset: str
    """Key of the data set."""
    measured: MeasuredAccuracies | None
    """Accuracies to compare with, besides those of the probes."""
    scores: tuple[str, ...]
    """Variants of `nctransfer.transferability.scores`."""
    models: tuple[RankedModel, ...]
    """The ranked models."""
    learning_rate: float
    """Learning rate of the probes to compare with."""
    weight_decay: float
    """Weight decay of the probes to compare with."""
    tables: tuple[tuple[str, str, str], ...]
    """Name, model and view of every tidy table, in the order of the inputs."""
