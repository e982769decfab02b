"""What a training is told."""

from typing import Annotated, Literal

from pydantic import Field

from nctransfer.data.settings import Geometry
from nctransfer.settings import Device, Integer, Natural, NonNegative, Precision, Settings, Share
from nctransfer.training.loss_settings import AnyLossSettings


class JitterSettings(Settings):
    """Colour jitter (from level 4)."""

    brightness: NonNegative = 0.4
    """Largest change of the brightness factor from 1."""
    contrast: NonNegative = 0.4
    """Largest change of the contrast factor from 1."""
    saturation: NonNegative = 0.4
    """Largest change of the saturation factor from 1."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest shift of the hue, as a share of the colour circle."""
    probability: Share = 0.8
    """Share of images that are jittered at all."""


class AugmentationSettings(Settings):
    """Random changes to training images; each level adds one to the level before."""

    level: Annotated[Integer, Field(ge=1, le=5)] = 1
    """1 none (images are standardised), 2 random crop, 3 and flip, 4 and colour jitter, 5 and grayscale."""
    crop_padding: Natural = 4
    """Black pixels around the image before the crop (from level 2)."""
    jitter: JitterSettings = JitterSettings()
    """Colour jitter (from level 4)."""
    grayscale: Share = 0.2
    """Share of images that turn gray (level 5)."""


class StepDecaySettings(Settings):
    """Step decay of the learning rate."""

    epochs: tuple[int, ...]
    """After how many epochs the rate falls, ascending."""
    factor: float
    """What it is multiplied by."""


class AttackSettings(Settings):
    """An adversary; see `nctransfer.training.pgd_attack`."""

    radius: NonNegative
    """In pixels of [0, 1]."""
    steps: Natural
    """Number of steps."""
    step_size: NonNegative
    """In pixels of [0, 1]."""
    batch_norm: Literal["eval", "train"]
    """Statistics that batch normalisation uses meanwhile."""
    evaluate_every: int
    """Epochs between two measurements of the robust test accuracy."""


class ProjectionHeadSettings(Settings):
    """A projection head."""

    layers: int
    """Number of hidden layers; 0 is a linear map."""
    hidden: int | None
    """Their width; `null` is that of the backbone's last feature."""
    output: int
    """Width of the projection."""


class LoopSettings(Settings):
    """What the training loop is told; options that a choice does not read are as if nobody had set them."""

    epochs: int
    """Passes over the training split."""
    batch_size: int
    """Images per step."""
    learning_rate: float
    """At the start."""
    learning_rate_min: float = 0.0001
    """At the end of the cosine."""
    warmup_epochs: int = 0
    """Epochs in which the rate rises linearly before the cosine."""
    decay: StepDecaySettings | None = None
    """Step decay instead of the cosine."""
    momentum: float
    """Of SGD."""
    weight_decay: float
    """Of SGD."""
    precision: Precision
    """Arithmetic of the forward pass."""
    channels_last: bool
    """Memory layout of convolutions on a GPU."""
    compile: bool
    """Whether the network is compiled."""
    augmentation: AugmentationSettings
    """Of training images."""
    adversary: AttackSettings | None
    """Attack on training images; `null` trains on clean ones."""
    snapshots: tuple[int, ...]
    """Epochs after which weights are kept."""
    evaluate_every: int = 1
    """Epochs between two measurements of the test accuracy; the last is always measured."""


class PretrainingLoopSettings(LoopSettings):
    """What the training of a source model is told."""

    loss: AnyLossSettings
    """Loss, by name, with its options."""
    projection: ProjectionHeadSettings | None
    """Head between the backbone and the loss."""


class PretrainJobSettings(Settings):
    """What the job is told that trains a source model."""

    architecture: str
    """`library/name`."""
    options: dict[str, object]
    """Of the architecture's builder."""
    geometry: Geometry
    """How images are brought to the network's size."""
    size: tuple[int, int]
    """Height and width that the network is shown, in pixels."""
    training: PretrainingLoopSettings
    """How it is trained."""
    seed: int
    """Of first weights, order and augmentation."""
    device: Device
    """Where to train."""
