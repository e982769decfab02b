"""Options of the squared error."""

from nctransfer.settings import Positive, Settings
from nctransfer.training.loss_settings import LossSettings


class MeanSquaredErrorOptions(Settings):
    """Options of the squared error."""

    mse_weight: Positive = 1
    """Weight of the true class's square, k of Hui & Belkin (mean_squared_error); 1 does not rescale."""
    mse_target: Positive = 1
    """Target of the true class, M of Hui & Belkin (mean_squared_error)."""


class MeanSquaredErrorSettings(LossSettings, MeanSquaredErrorOptions):
    """Settings of the squared error."""


SETTINGS = MeanSquaredErrorSettings
