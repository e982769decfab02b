"""What the plan must know of the kind ``tuned_units``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import TunedUnitsPanelSettings
from nctransfer.reporting.settings import FigureSettings, RunsPanel

KIND = Kind(
    shows="Which units are tuned, and how many",
    caption=(
        "Test accuracy after fine-tuning, by which unit is tuned or by how many are. Where a right axis "
        "is drawn, it is the share of the parameters that train. Layer LP removes all units above the "
        "tuned one."
    ),
    panel=TunedUnitsPanelSettings,
    settings=FigureSettings[RunsPanel],
    collapse=False,
)
