"""What the plan must know of the kind ``ranking_units``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import RankingPanelSettings
from nctransfer.reporting.settings import FigureSettings, RankingPanel

KIND = Kind(
    shows="Units ranked",
    caption=(
        "Every unit of every model by score and by measured accuracy of a linear probe: which unit to "
        "read features from."
    ),
    panel=RankingPanelSettings,
    settings=FigureSettings[RankingPanel],
)
