"""What the plan must know of the kind ``ranking``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import RankingPanelSettings
from nctransfer.reporting.settings import RankingPanel, TableSettings

KIND = Kind(
    shows="Models ranked",
    caption=(
        "Every transferability score of every model, how far each order agrees with measured accuracies, and "
        "the layer that each score picks. Where enough models have a score, bold is the best agreement, "
        "underlined the second."
    ),
    panel=RankingPanelSettings,
    settings=TableSettings[RankingPanel],
)
