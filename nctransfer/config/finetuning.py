"""The section `finetuning:`, sweeps of fine-tuning runs, and single named runs (`finetuned:`)."""

from typing import Annotated

from pydantic import Field

from nctransfer.config.training import SGDSettings
from nctransfer.features.settings import KeptUnits
from nctransfer.finetuning.methods.layer_lora import LoRAOptions
from nctransfer.finetuning.methods.mlp import MLPOptions
from nctransfer.finetuning.settings import Statistics
from nctransfer.settings import Count, Distinct, Natural, NonNegative, Positive, Settings
from nctransfer.training.losses.cross_entropy.settings import CrossEntropyOptions


class RatesSettings(Settings):
    """Learning rate and weight decay of a method."""

    learning_rate: Positive
    """Initial learning rate of the cosine decay."""
    weight_decay: NonNegative
    """Weight decay."""


class NetworkRatesSettings(Settings):
    """Learning rates and weight decays by kind of network and method."""

    convolutional: dict[str, RatesSettings] = {}
    """For networks whose units output feature maps, by method."""
    transformer: dict[str, RatesSettings] = {}
    """For networks whose units output tokens, by method."""


# The options of methods are keys of `finetuning:` itself: a method with options is a base class here.
class FineTuningSettings(MLPOptions, LoRAOptions, CrossEntropyOptions, SGDSettings):
    """How a model is fine-tuned."""

    rates: NetworkRatesSettings = NetworkRatesSettings()
    """Learning rates and weight decays by kind of network and method, from the search of the paper's Table 4,
    which `tables/table4` repeats."""
    statistics: Statistics = "update"
    """Normalisation statistics: `update` (the paper) trains with the batch's statistics and updates the
    running ones, `recalibrated` measures them once on the downstream training images, `frozen` keeps those of
    the source data."""
    epochs: Count = 200
    """Passes over the downstream training split."""
    evaluate_every: Count = 1
    """Epochs between two measurements of the test accuracy; the last epoch is always measured."""
    seeds: Count = 1
    """Number of repetitions with different seeds, unless a figure or table sets its own."""


class SweepSettings(Settings):
    """Runs for every combination of the listed values; a method ignores lists that it does not use."""

    methods: Distinct[str]
    """Variants of `nctransfer.finetuning.methods`."""
    units: Annotated[tuple[Count | Distinct[Count], ...], Field(min_length=1)] | None = None
    """Tuned units, one run each; a nested list tunes several units together."""
    per_class: Distinct[Count] | None = None
    """Training images per class, one run each; `null` takes all images."""
    learning_rates: Distinct[Positive] | None = None
    """Learning rates, one run each; `null` takes the one of finetuning.rates."""
    weight_decays: Distinct[NonNegative] | None = None
    """Weight decays, one run each; `null` takes the one of finetuning.rates."""
    seeds: Count | None = None
    """Number of repetitions; `null` takes finetuning.seeds."""
    features: KeptUnits | None = None
    """Overrides the base model's `units`: whose features are kept, probed and measured."""
    options: FineTuningSettings = FineTuningSettings()
    """Overrides the study's `finetuning` for these runs."""

    @property
    def tuned(self) -> list[tuple[int, ...]]:
        """The tuned units of every run, ascending."""
        return [(entry,) if isinstance(entry, int) else tuple(sorted(entry)) for entry in self.units or ()]


class FineTunedSettings(Settings):
    """One fine-tuning run."""

    model: str
    """Key of the base model."""
    dataset: str
    """Key of the downstream data set."""
    method: str
    """A variant of `nctransfer.finetuning.methods`."""
    units: Distinct[Count] | None = None
    """The tuned units, from 1 (layer_ft, scl_ft, layer_lp, layer_lora)."""
    per_class: Count | None = None
    """Training images per class, a balanced seeded subset; `null` takes all."""
    learning_rate: Positive | None = None
    """Initial learning rate of the cosine decay; `null` takes the one of finetuning.rates."""
    weight_decay: NonNegative | None = None
    """Weight decay; `null` takes the one of finetuning.rates."""
    seed: Natural = 0
    """Number of the repetition, from 0; runs with the same number share subset, initial values and order."""
    features: KeptUnits | None = None
    """Overrides the base model's `units`: whose features are kept, probed and measured."""
    options: FineTuningSettings = FineTuningSettings()
    """Overrides the study's `finetuning` for this run."""
