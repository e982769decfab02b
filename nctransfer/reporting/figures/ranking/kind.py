"""What the plan must know of the kind ``ranking``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import RankingPanelSettings
from nctransfer.reporting.settings import FigureSettings, RankingPanel

KIND = Kind(
    shows="Models ranked",
    caption=(
        "Every transferability score against measured accuracy, one point per model, and how far the two "
        "orders agree (weighted Kendall tau with its interval). Few models: wide intervals."
    ),
    panel=RankingPanelSettings,
    settings=FigureSettings[RankingPanel],
)
