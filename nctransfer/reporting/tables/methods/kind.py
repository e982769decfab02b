"""What the plan must know of the kind ``methods``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import PublishedOption, RunsPanelSettings
from nctransfer.reporting.settings import RunsPanel, TableSettings

KIND = Kind(
    shows="Fine-tuning methods",
    caption=(
        "Each fine-tuning method on each model and data set: test accuracy, NC1 of the penultimate feature "
        "on the training data, and the share of the parameters that train; mean and standard deviation "
        "where there are several seeds. Bold is best, underlined second."
    ),
    panel=RunsPanelSettings,
    settings=TableSettings[RunsPanel],
    options=(PublishedOption,),
    nc1=NC1("methods of fine-tuning side by side"),
)
