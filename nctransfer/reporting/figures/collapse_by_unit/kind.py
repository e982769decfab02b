"""What the plan must know of the kind ``collapse_by_unit``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import RunsPanelSettings
from nctransfer.reporting.settings import FigureSettings, RunsPanel

KIND = Kind(
    shows="NC1 by unit after fine-tuning",
    caption=(
        "NC1 on the downstream training data at every unit (0 is the stem) after fine-tuning with each "
        "method; the dotted line is the tuned unit. Log axis: lower is more collapsed. Where a method "
        "changes nothing below the tuned unit, its curve there is the pre-trained model's up to "
        "normalisation statistics. Lines differ in width: a wider one shows on both sides of an equal one."
    ),
    panel=RunsPanelSettings,
    settings=FigureSettings[RunsPanel],
    nc1=NC1("NC1 by unit after fine-tuning", "every unit and penultimate"),
)
