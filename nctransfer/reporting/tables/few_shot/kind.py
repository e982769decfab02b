"""What the plan must know of the kind ``few_shot``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import EpisodesPanelSettings
from nctransfer.reporting.settings import EpisodesPanel, TableSettings

KIND = Kind(
    shows="Few-shot learning",
    caption=(
        "Few-shot episodes on classes that the models never saw: accuracy of a logistic regression on "
        "support embeddings with one and five shots, and NC1 of the query images, in episodes and over "
        "the whole set. Bold is best, underlined second."
    ),
    panel=EpisodesPanelSettings,
    settings=TableSettings[EpisodesPanel],
    nc1=NC1("few-shot accuracy beside NC1", images="training and test, as one"),
)
