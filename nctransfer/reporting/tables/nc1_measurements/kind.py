"""What the plan must know of the kind ``nc1_measurements``."""

from nctransfer.config.kinds import Kind
from nctransfer.reporting.settings import NC1Row, TableSettings

KIND = Kind(
    shows="What is measured where",
    caption=(
        "Which figures and tables show NC1, of which features, models and data, from the configuration in "
        "effect."
    ),
    panel=None,
    settings=TableSettings[NC1Row],
)
