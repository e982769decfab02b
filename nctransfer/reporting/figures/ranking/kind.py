"""What the plan must know of the kind ``ranking``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import RankingPanelSettings
from nctransfer.reporting.settings import FigureSettings, RankingPanel

KIND = Kind(
    shows="Models ranked",
    caption=(
        "Left: the rank that every transferability score gives each model, the most accurate model first. "
        "Right: how well each score ranks (weighted Kendall tau with its interval), and what chance would "
        "give. Few models: wide intervals."
    ),
    panel=RankingPanelSettings,
    settings=FigureSettings[RankingPanel],
)
