"""What the plan must know of the kind ``tuned_unit_law``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import RunsPanelSettings
from nctransfer.reporting.settings import FigureSettings, RunsPanel

KIND = Kind(
    shows="Layer FT of each unit",
    caption=(
        "Layer FT of each unit in turn, two axes: test accuracy, and NC1 of the penultimate feature on "
        "the downstream training data. The two curves should mirror each other."
    ),
    panel=RunsPanelSettings,
    settings=FigureSettings[RunsPanel],
    nc1=NC1("accuracy and NC1 by the tuned unit"),
)
