"""What the plan must know of the kind ``layerwise``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import FitOption, UnitsPanelSettings
from nctransfer.reporting.settings import FigureSettings, UnitsPanel

KIND = Kind(
    shows="NC1 and probe accuracy by unit",
    caption=(
        "Left: NC1 on the downstream training data and accuracy of a linear probe, unit by unit from the "
        "shallowest to the deepest. Right: the same points, accuracy against NC1, with the fitted line and "
        "its r2 where the interval of the correlation leaves out 0; units that lie close together are shown "
        "again, enlarged. The paper's law is that accuracy falls as NC1 rises."
    ),
    panel=UnitsPanelSettings,
    settings=FigureSettings[UnitsPanel],
    options=(FitOption,),
    probes=True,
    nc1=NC1("NC1 and probe accuracy by unit", "every unit"),
)
