"""Settings of the job that fine-tunes a model."""

from typing import Literal

from nctransfer.data.settings import Geometry
from nctransfer.finetuning.method import AnyMethodSettings
from nctransfer.settings import Device, Settings
from nctransfer.training.losses.cross_entropy.settings import CrossEntropyOptions
from nctransfer.training.settings import LoopSettings

Statistics = Literal["update", "recalibrated", "frozen"]


class RunNames(Settings):
    """Columns of the table of accuracies that identify a run."""

    run: str
    """Key of the run."""
    model: str
    """Key of the base model."""
    dataset: str
    """Key of the downstream data set."""
    method: str
    """Name of the method."""
    units: str
    """The tuned units, separated by blanks."""
    per_class: int | None
    """Training images per class; `null` for all."""
    learning_rate: float | None
    """Learning rate at the start of the cosine; `null` where nothing trains."""
    weight_decay: float | None
    """Weight decay; `null` where nothing trains."""
    seed: int
    """Number of the repetition, from 0."""


class FineTuneJobSettings(Settings):
    """Settings of the job that fine-tunes a model."""

    names: RunNames
    """Identify the run in every row of the table of accuracies."""
    method: AnyMethodSettings
    """The method, by name, with its units and options."""
    statistics: Statistics
    """Statistics of normalisation layers, see `nctransfer.finetuning.running_statistics`."""
    per_class: int | None
    """Training images per class; `null` for all."""
    loss: CrossEntropyOptions
    """Options of the loss."""
    training: LoopSettings | None
    """Settings of the training; `null` for methods that train nothing."""
    geometry: Geometry
    """How images are brought to the input size of the model."""
    seed: int
    """Seed of initial values, order and augmentation."""
    subset_seed: int
    """Seed of the draw of training images."""
    device: Device
    """Device to train on."""
