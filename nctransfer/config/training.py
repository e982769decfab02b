"""The section `training:`: how source models are trained, and the settings of the training loop."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from nctransfer import variants
from nctransfer.settings import Count, Integer, Natural, NonNegative, Positive, Precision, Settings
from nctransfer.training import losses
from nctransfer.training.loss_settings import LossSettings
from nctransfer.training.losses.cross_entropy.settings import CrossEntropyOptions
from nctransfer.training.losses.mean_squared_error.settings import MeanSquaredErrorOptions
from nctransfer.training.losses.supervised_contrastive.settings import SupervisedContrastiveOptions
from nctransfer.training.settings import (
    AttackSettings,
    AugmentationSettings,
    PretrainingLoopSettings,
    ProjectionHeadSettings,
    StepDecaySettings,
)

S = TypeVar("S", bound=Settings)
Head = Annotated[str, Field(pattern=r"^(none|linear|mlp[1-9])$")]
Percentage = Annotated[float, Field(ge=0, le=100)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
BatchSize = Annotated[Integer, Field(ge=2)]


class ProjectionSettings(Settings):
    """Projection head between backbone and loss, removed after training."""

    head: Head = "none"
    """none, linear, or mlp1, mlp2, ... where the number counts the hidden layers."""
    hidden: Count | None = None
    """Width of hidden layers; `null` takes the width of the backbone's last feature."""
    output: Count = 128
    """Width of the head's output."""


class AdversarySettings(Settings):
    """Adversarial training by projected gradient descent in the l-infinity ball (Madry et al. 2018)."""

    level: Natural = 0
    """0 trains on clean images; level n attacks with the n-th radius."""
    radii: Annotated[tuple[NonNegative, ...], Field(min_length=1)] = (1, 2, 3, 5, 8)
    """Radii of the levels, in 1/255 of the pixel range."""
    steps: Count = 7
    """Number of attack steps."""
    step_factor: Positive = 2.5
    """Total length of all steps in radii; the step size is step_factor * radius / steps."""
    batch_norm: Literal["eval", "train"] = "eval"
    """Statistics of batch normalisation during the attack in training: running ones (eval) or the batch's
    (train). The attack does not update them."""
    evaluate_every: Count = 10
    """Epochs between two measurements of the robust test accuracy; the last epoch is always measured."""


class SGDSettings(Settings):
    """What pre-training and fine-tuning have in common."""

    augmentation: AugmentationSettings = AugmentationSettings()
    """Random changes of training images; each level adds one to those of the level below."""
    batch_size: BatchSize = 128
    """Images per step; batch normalisation needs two."""
    learning_rate_min: NonNegative = 0.0001
    """Final learning rate of the cosine decay."""
    warmup_epochs: Natural = 0
    """Epochs in which the learning rate rises linearly, step by step, before the cosine decay."""
    momentum: Momentum = 0.9
    """Momentum."""
    precision: Precision = "float32"
    """Precision of the forward pass; weights and their updates stay in float32."""
    channels_last: bool = True
    """Channels-last memory layout for convolutions on a GPU; faster there."""


class MustReachSettings(Settings):
    """Accuracies on the source data of a source model that counts as trained."""

    train: Percentage | None = None
    """On the training split, without augmentation or attack, in percent; `null` takes half of the way from
    chance to `usual_accuracy`."""
    test: Percentage | None = None
    """On the test split, in percent; `null` as for `train`."""


# The options of losses are keys of `training:` itself: a loss with options is a base class here.
class TrainingSettings(
    CrossEntropyOptions, MeanSquaredErrorOptions, SupervisedContrastiveOptions, SGDSettings
):
    """How a source model is trained."""

    loss: str = "cross_entropy"
    """Loss function; a variant of `nctransfer.training.losses`."""
    projection: ProjectionSettings = ProjectionSettings()
    """Projection head between the backbone and the loss (or, for losses on logits, the classifier); removed
    after training."""
    adversary: AdversarySettings = AdversarySettings()
    """Adversarial training by projected gradient descent in the l-infinity ball (Madry et al. 2018)."""
    epochs: Natural = 200
    """Passes over the source training split; 0 leaves the network untrained, with its first weights."""
    learning_rate: Positive = 0.1
    """Initial learning rate of the cosine or step decay."""
    decay_epochs: Annotated[tuple[Count, ...], Field(min_length=1)] | None = None
    """Step decay instead of cosine decay: epochs, ascending, after which the learning rate is multiplied by
    `decay_factor`. It cannot be combined with warm-up. `null` uses cosine decay."""
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Factor of the step decay."""
    weight_decay: NonNegative = 0.0001
    """Weight decay."""
    compile: bool = False
    """Compile the network with torch.compile (needs a C compiler); worthwhile for long trainings on a GPU."""
    usual_accuracy: Percentage = 100
    """Accuracy on the source test split, in percent, that such a training usually reaches."""
    must_reach: MustReachSettings = MustReachSettings()
    """Accuracies that a source model must reach: the scorecard judges no claim on one that was not trained.
    A change reruns figures and tables, but no training."""
    snapshot_every: Natural = 0
    """Epochs between two snapshots of the weights; the last epoch is always one. Each snapshot is a model of
    its own, `<model>.epoch<n>`; 0 takes none. A change repeats the training."""

    @property
    def snapshot_epochs(self) -> list[int]:
        """Epochs after which the weights are saved, including the last."""
        every, last = self.snapshot_every, self.epochs
        return sorted({*range(every, last, every), last}) if every and last else []


def loss_class(name: str) -> type[LossSettings]:
    """Settings class of a loss; ConfigError if there is no such loss."""
    settings = variants.settings_class(losses, name, LossSettings)
    assert issubclass(settings, LossSettings)
    return settings


def loop_settings(training: TrainingSettings) -> PretrainingLoopSettings:
    """Settings of the training loop for a complete section, with levels resolved to what they mean.

    Options without effect get their defaults, so that changing them reruns no training.
    """
    decay = None
    cosine: dict[str, Any] = {}
    if training.decay_epochs:
        decay = StepDecaySettings(epochs=training.decay_epochs, factor=training.decay_factor)
    else:
        cosine = {"learning_rate_min": training.learning_rate_min, "warmup_epochs": training.warmup_epochs}
    loss = loss_class(training.loss)
    options = {name: getattr(training, name) for name in loss.model_fields if name != "name"}
    return PretrainingLoopSettings(
        **cosine,
        **{name: getattr(training, name) for name in _PLAIN},
        decay=decay,
        augmentation=as_read(training.augmentation),
        adversary=_attack(training.adversary),
        snapshots=tuple(training.snapshot_epochs),
        loss=loss(name=training.loss, **options),
        projection=_projection_head(training.projection),
    )


# Lowest augmentation level that reads an option.
_READ_FROM = {"crop_padding": 2, "crop_scale": 2, "jitter": 4, "grayscale": 5}


def as_read(augmentation: AugmentationSettings) -> AugmentationSettings:
    """Augmentation settings with options that the level does not read set to their defaults."""
    read = {"level"} | {name for name, level in _READ_FROM.items() if augmentation.level >= level}
    return AugmentationSettings(**{name: getattr(augmentation, name) for name in read})


_PLAIN = (
    "epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "precision", "channels_last",
    "compile",
)  # fmt: skip


def _attack(adversary: AdversarySettings) -> AttackSettings | None:
    if not adversary.level:
        return None
    radius = adversary.radii[adversary.level - 1] / 255
    return AttackSettings(
        radius=radius,
        steps=adversary.steps,
        step_size=adversary.step_factor * radius / adversary.steps,
        batch_norm=adversary.batch_norm,
        evaluate_every=adversary.evaluate_every,
    )


def _projection_head(projection: ProjectionSettings) -> ProjectionHeadSettings | None:
    if projection.head == "none":
        return None
    layers = 0 if projection.head == "linear" else int(projection.head.removeprefix("mlp"))
    hidden = projection.hidden if layers else None
    return ProjectionHeadSettings(layers=layers, hidden=hidden, output=projection.output)


def overridden(settings: S, by: S) -> S:
    """Settings overridden by those fields of ``by`` that were set explicitly, at every depth."""
    changes = {}
    for name in by.model_fields_set:
        value, below = getattr(by, name), getattr(settings, name)
        both = isinstance(value, Settings) and type(below) is type(value)
        changes[name] = overridden(below, value) if both else value
    return settings.model_copy(update=changes)


def keeps_classifier(training: TrainingSettings) -> bool:
    """Whether the pre-trained model keeps its classifier."""
    return not loss_class(training.loss).embeds and training.projection.head == "none"


def training_problems(training: TrainingSettings) -> Iterator[tuple[str, str]]:
    """Mistakes that types do not exclude: key and message of each."""
    level, radii = training.adversary.level, training.adversary.radii
    if level > len(radii):
        yield "adversary.level", f"{level} has no radius; adversary.radii has {len(radii)}"
    if (scale := training.augmentation.crop_scale) is not None and not 0 < scale[0] <= scale[1]:
        yield "augmentation.crop_scale", f"{list(scale)}; allowed are two shares above 0, the smaller first"
    if training.epochs and training.decay_epochs:
        yield from _decay_problems(training, training.decay_epochs)
    elif training.epochs:  # an untrained network has no schedule
        rates = training.learning_rate, training.learning_rate_min
        yield from schedule_problems(training.epochs, training.warmup_epochs, *rates)
    if training.loss in variants.names(losses) and loss_class(training.loss).embeds:
        unsuited = f"does not suit loss {training.loss}"
        if training.augmentation.level == 1:
            yield "augmentation.level", f"1 {unsuited}, whose two views would be the same"
        if training.projection.head == "none":
            yield "projection.head", f"none {unsuited}; allowed: linear, mlp1, mlp2, ..."
        if level:
            yield "adversary.level", f"{level} {unsuited}, which has no classifier"


def schedule_problems(
    epochs: int, warmup_epochs: int, learning_rate: float, learning_rate_min: float
) -> Iterator[tuple[str, str]]:
    """Values that do not suit a cosine decay: key and message."""
    if warmup_epochs >= epochs:
        yield "warmup_epochs", f"{warmup_epochs} leaves none of the {epochs} epochs for the cosine decay"
    if learning_rate_min > learning_rate:
        yield "learning_rate_min", f"{learning_rate_min} is above learning_rate {learning_rate}"


def _decay_problems(training: TrainingSettings, decays: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    if list(decays) != sorted(set(decays)):
        yield "decay_epochs", f"{list(decays)} is not in ascending order"
    if max(decays) >= training.epochs:
        yield "decay_epochs", f"{max(decays)} leaves none of the {training.epochs} epochs for the last rate"
    if training.warmup_epochs:
        warmup = training.warmup_epochs
        yield "decay_epochs", f"excludes warmup_epochs ({warmup}), which precede a cosine; set one of them"
