"""What the plan must know of the kind ``across_datasets``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import CurveOption, DataSetsPanelSettings, FitOption
from nctransfer.reporting.settings import FigureSettings, PointsPanel

KIND = Kind(
    shows="One model on several data sets",
    caption=(
        "One frozen model, one point per downstream data set: test accuracy of a linear classifier against "
        "NC1 on that data set's training data, or against training accuracy. NC1 should tell easy from "
        "hard data sets where training accuracy does not. A fitted line is drawn only where the "
        "interval of r leaves out 0."
    ),
    panel=DataSetsPanelSettings,
    settings=FigureSettings[PointsPanel],
    options=(CurveOption, FitOption),
    probes=True,
    nc1=NC1("accuracy against NC1, one point per data set"),
)
