"""Scores and rankings: which scores, on how many images."""

from typing import Annotated

from pydantic import Field

from nctransfer.settings import Device, Distinct, Integer, Name, Settings, ViewNames

SCORES = (
    "nc1", "cdnv", "vci", "ncti", "logme", "h_score", "leep", "nce", "nleep", "transrate", "gbc", "parc",
    "sfda", "etran", "face",
)  # fmt: skip


class ScoringSettings(Settings):
    """Which scores are computed, and on how many images."""

    scores: Distinct[str] = SCORES
    """Variants of `nctransfer.transferability.scores`."""
    samples: Annotated[Integer, Field(ge=4)] | None = None
    """Training images that are scored at most, each class its share, drawn with a seed; `null` takes all."""
    pair_samples: Annotated[Integer, Field(ge=4, le=20000)] = 2000
    """The same for scores that compare all pairs of images (parc), gigabytes of them at 20,000."""
    mixture_samples: Annotated[Integer, Field(ge=4)] | None = 10000
    """The same for scores that fit a mixture of Gaussians (nleep)."""


class ScoresJobSettings(ScoringSettings):
    """What the job is told that scores a model's features."""

    names: ViewNames
    """Repeated in every row."""
    pooling: str
    """Pooling whose features are scored."""
    seed: int
    """Of the images that are scored: the same for all models."""
    device: Device
    """Where to compute."""


class RankedModel(Settings):
    """A model of a ranking, and where its accuracy on its source data is known from."""

    model: str
    """Key of the model."""
    view: str
    """Key of its view of the data set."""
    data: str | None = None
    """Its source data; `null` where nobody says."""
    accuracy: float | None = None
    """Accuracy on them in percent, where the plan knows it."""
    history: str | None = None
    """Key of the model whose training's history holds it."""
    epoch: int | None = None
    """Of that history; `null` takes the last."""


class MeasuredAccuracies(Settings):
    """Accuracies that were measured elsewhere."""

    name: Name
    """Of their table."""
    accuracies: dict[str, float]
    """In percent, by model."""


class RankingJobSettings(Settings):
    """What the job is told that ranks models and units on a data set."""

    dataset: str
    """Key of the data set."""
    measured: MeasuredAccuracies | None
    """Accuracies to compare with beside the probes'."""
    scores: tuple[str, ...]
    """Variants of `nctransfer.transferability.scores`."""
    models: tuple[RankedModel, ...]
    """The ranked models."""
    learning_rate: float
    """Of the probes that are compared with."""
    weight_decay: float
    """Of the probes that are compared with."""
    resamples: int
    """Number of resamples of the models behind the intervals of correlations."""
    tables: tuple[tuple[str, str, str], ...]
    """Name, model and view of every tidy table, in the order of the inputs."""
    seed: int
    """Of the resamples."""
