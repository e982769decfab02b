"""What the plan must know of the kind ``search``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import RunsPanelSettings
from nctransfer.reporting.settings import RunsPanel, TableSettings

KIND = Kind(
    shows="Learning rate and weight decay",
    caption=(
        "Test accuracy at each learning rate and weight decay of the grid, by method. Bold is best, "
        "underlined second."
    ),
    panel=RunsPanelSettings,
    settings=TableSettings[RunsPanel],
    collapse=False,
)
