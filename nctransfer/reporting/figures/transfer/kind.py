"""What the plan must know of the kind ``transfer``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import CurveOption, FitOption, PointsPanelSettings
from nctransfer.reporting.settings import FigureSettings, PointsPanel

KIND = Kind(
    shows="Transfer accuracy against NC1",
    caption=(
        "Transfer accuracy (a linear classifier on frozen features, downstream test set) against NC1 of "
        "the penultimate feature, one point per model. NC1 is measured on the training data that the axis "
        "names. Bars are 95 % intervals over the test images (one standard deviation where there are several "
        "seeds). The panel gives Pearson's r of four points or more with its 95 % interval (Fisher's z). A "
        "line or curve is a least-squares fit, a line only where that interval leaves out 0; the turning "
        "point of a parabola has a 95 % bootstrap interval."
    ),
    panel=PointsPanelSettings,
    settings=FigureSettings[PointsPanel],
    options=(CurveOption, FitOption),
    probes=True,
    nc1=NC1("transfer accuracy against NC1"),
)
