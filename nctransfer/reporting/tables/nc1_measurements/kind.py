"""What the plan must know of the kind ``nc1_measurements``."""

from nctransfer.config.kinds import Kind
from nctransfer.reporting.settings import NC1Row, TableSettings

KIND = Kind(
    shows="What is measured where",
    caption=(
        "Which section measures NC1 of which networks (pre-trained, or after fine-tuning) on which data "
        "(source or downstream), and in which figures and tables, from the configuration in effect. Figures "
        "of the appendix are listed with the section whose question they continue; a dash means that a "
        "figure is not in the paper."
    ),
    panel=None,
    settings=TableSettings[NC1Row],
)
