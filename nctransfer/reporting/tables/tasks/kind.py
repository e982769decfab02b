"""What the plan must know of the kind ``tasks``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import PublishedOption, RunsPanelSettings
from nctransfer.reporting.settings import RunsPanel, TableSettings

KIND = Kind(
    shows="Tasks of a benchmark",
    caption=(
        "Test accuracy of two ways to tune one layer, task by task: the layer itself (Layer FT), or "
        "low-rank adapters on it (Layer LoRA). Bold is best, underlined second."
    ),
    panel=RunsPanelSettings,
    settings=TableSettings[RunsPanel],
    options=(PublishedOption,),
    collapse=False,
)
