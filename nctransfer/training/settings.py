"""Settings of a training."""

from typing import Annotated, Literal

from pydantic import Field

from nctransfer.data.settings import Geometry
from nctransfer.settings import Device, Integer, Natural, NonNegative, Precision, Settings, Share
from nctransfer.training.loss_settings import AnyLossSettings


class JitterSettings(Settings):
    """Colour jitter (from level 4)."""

    brightness: NonNegative = 0.4
    """Largest deviation of the brightness factor from 1."""
    contrast: NonNegative = 0.4
    """Largest deviation of the contrast factor from 1."""
    saturation: NonNegative = 0.4
    """Largest deviation of the saturation factor from 1."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Largest shift of the hue, as a share of the colour circle."""
    probability: Share = 0.8
    """Share of images that are jittered."""


class AugmentationSettings(Settings):
    """Random changes of training images; each level adds one operation to the level before."""

    level: Annotated[Integer, Field(ge=1, le=5)] = 1
    """1 none (images are only standardised), 2 random crop, 3 plus flip, 4 plus colour jitter, 5 plus
    grayscale."""
    crop_padding: Natural = 4
    """Black pixels around the image before the crop (from level 2)."""
    crop_scale: tuple[Share, Share] | None = None
    """Smallest and largest share of the image's area that a crop shows, resized to the image's size (from
    level 2), such as [0.2, 1] in Khosla et al. 2020; `null` crops the padded image instead."""
    jitter: JitterSettings = JitterSettings()
    """Colour jitter (from level 4)."""
    grayscale: Share = 0.2
    """Share of images that are turned to gray (level 5)."""


class StepDecaySettings(Settings):
    """Step decay of the learning rate."""

    epochs: tuple[int, ...]
    """Numbers of epochs after which the learning rate falls, ascending."""
    factor: float
    """Factor by which the learning rate is multiplied."""


class AttackSettings(Settings):
    """An adversarial attack; see `nctransfer.training.pgd_attack`."""

    radius: NonNegative
    """Largest change of a pixel in [0, 1]."""
    steps: Natural
    """Number of gradient steps."""
    step_size: NonNegative
    """Step size, for pixels in [0, 1]."""
    batch_norm: Literal["eval", "train"]
    """Statistics that batch normalisation uses during the attack."""
    evaluate_every: int
    """Epochs between two measurements of the robust test accuracy."""


class ProjectionHeadSettings(Settings):
    """A projection head."""

    layers: int
    """Number of hidden layers; 0 is a linear map."""
    hidden: int | None
    """Width of the hidden layers; `null` takes that of the penultimate feature."""
    output: int
    """Width of the projection."""


class LoopSettings(Settings):
    """Settings of the training loop; options without effect have their defaults."""

    epochs: int
    """Passes over the training split."""
    batch_size: int
    """Images per step."""
    learning_rate: float
    """Initial learning rate."""
    learning_rate_min: float = 0.0001
    """Learning rate at the end of the cosine."""
    warmup_epochs: int = 0
    """Epochs in which the rate rises linearly before the cosine."""
    decay: StepDecaySettings | None = None
    """Step decay, instead of the cosine."""
    momentum: float
    """Momentum of SGD."""
    weight_decay: float
    """Weight decay of SGD."""
    precision: Precision
    """Arithmetic of the forward pass."""
    channels_last: bool
    """Memory layout of convolutions on a GPU."""
    compile: bool
    """Whether the network is compiled."""
    augmentation: AugmentationSettings
    """Augmentation of training images."""
    adversary: AttackSettings | None
    """Attack on training images; `null` trains on clean images."""
    snapshots: tuple[int, ...]
    """Epochs after which the weights are stored."""
    evaluate_every: int = 1
    """Epochs between two measurements of the test accuracy; it is always measured after the last epoch."""


class PretrainingLoopSettings(LoopSettings):
    """Settings of the training of a source model."""

    loss: AnyLossSettings
    """Loss, by name, with its options."""
    projection: ProjectionHeadSettings | None
    """Head between the backbone and the loss."""


class PretrainJobSettings(Settings):
    """Settings of the job that trains a source model."""

    architecture: str
    """`library/name`."""
    options: dict[str, object]
    """Options of the architecture's builder."""
    geometry: Geometry
    """How images are brought to the input size of the network."""
    size: tuple[int, int]
    """Height and width of the input, in pixels."""
    training: PretrainingLoopSettings
    """Settings of the training."""
    seed: int
    """Seed of initial weights, order and augmentation."""
    device: Device
    """Device to train on."""
