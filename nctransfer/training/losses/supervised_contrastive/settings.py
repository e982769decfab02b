"""Options of the supervised contrastive loss."""

from typing import ClassVar

from nctransfer.settings import Positive, Settings
from nctransfer.training.loss_settings import LossSettings


class SupervisedContrastiveOptions(Settings):
    """Options of the supervised contrastive loss."""

    temperature: Positive = 0.1
    """Temperature of the similarities (supervised_contrastive)."""


class SupervisedContrastiveSettings(LossSettings, SupervisedContrastiveOptions):
    """Settings of the supervised contrastive loss."""

    embeds: ClassVar[bool] = True


SETTINGS = SupervisedContrastiveSettings
