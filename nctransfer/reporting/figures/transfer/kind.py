"""What the plan must know of the kind ``transfer``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import CurveOption, FitOption, PointsPanelSettings
from nctransfer.reporting.settings import FigureSettings, PointsPanel

KIND = Kind(
    shows="Transfer accuracy against NC1",
    caption=(
        "Transfer accuracy (a linear classifier on frozen features, downstream test set) against NC1 of "
        "the last feature, one point per model. NC1 is measured on the training data that the axis names. "
        "The line or curve is a least-squares fit, its r2 or turn in the panel with a 95 % bootstrap "
        "interval."
    ),
    panel=PointsPanelSettings,
    settings=FigureSettings[PointsPanel],
    options=(CurveOption, FitOption),
    probes=True,
    nc1=NC1("transfer accuracy against NC1"),
)
