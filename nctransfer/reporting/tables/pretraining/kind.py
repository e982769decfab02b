"""What the plan must know of the kind ``pretraining``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import PointsPanelSettings, PublishedOption
from nctransfer.reporting.settings import PointsPanel, TableSettings

KIND = Kind(
    shows="Pre-training losses",
    caption=(
        "Pre-training losses and projection heads: NC1 on the source data, and accuracy of a linear "
        "classifier on the downstream data."
    ),
    panel=PointsPanelSettings,
    settings=TableSettings[PointsPanel],
    options=(PublishedOption,),
    probes=True,
    nc1=NC1("losses and heads side by side"),
)
