"""What the plan must know of the kind ``search``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import RunsPanelSettings
from nctransfer.reporting.settings import RunsPanel, TableSettings

KIND = Kind(
    shows="Learning rate and weight decay",
    caption=(
        "For each method the learning rate and weight decay of the grid with the highest test accuracy, and "
        "the range of accuracies over the grid."
    ),
    panel=RunsPanelSettings,
    settings=TableSettings[RunsPanel],
    collapse=False,
)
