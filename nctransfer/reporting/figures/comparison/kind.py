"""What the plan must know of the kind ``comparison``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import PointsPanelSettings
from nctransfer.reporting.settings import FigureSettings, PointsPanel

KIND = Kind(
    shows="Losses and projection heads",
    caption=(
        "Pre-training losses and projection heads side by side: NC1 on the source data and transfer accuracy."
    ),
    panel=PointsPanelSettings,
    settings=FigureSettings[PointsPanel],
    probes=True,
    nc1=NC1("losses and heads side by side"),
)
