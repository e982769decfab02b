"""Options of the cross-entropy."""

from typing import Annotated

from pydantic import Field

from nctransfer.settings import Settings
from nctransfer.training.loss_settings import LossSettings


class CrossEntropyOptions(Settings):
    """Options of the cross-entropy."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0
    """Share of the target spread over all classes (cross_entropy)."""


class CrossEntropySettings(LossSettings, CrossEntropyOptions):
    """Settings of the cross-entropy."""


SETTINGS = CrossEntropySettings
