"""What the plan must know of the kind ``samples``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import SamplesPanelSettings
from nctransfer.reporting.settings import FigureSettings, RunsPanel

KIND = Kind(
    shows="Accuracy by samples per class",
    caption=(
        "Test accuracy against training samples per class (log axis), one curve per method; bars are one "
        "standard deviation over seeds where there are several, else 95 % intervals over the test images."
    ),
    panel=SamplesPanelSettings,
    settings=FigureSettings[RunsPanel],
    collapse=False,
)
