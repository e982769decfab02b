"""What the plan must know of the kind ``few_shot``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import EpisodesPanelSettings, PublishedOption
from nctransfer.reporting.settings import EpisodesPanel, TableSettings

KIND = Kind(
    shows="Few-shot learning",
    caption=(
        "Few-shot episodes on classes that the models never saw: accuracy of a logistic regression on "
        "support embeddings by number of shots, and NC1 of all images of these classes and, as mean over "
        "episodes, of the query images. Bold is best, underlined second."
    ),
    panel=EpisodesPanelSettings,
    settings=TableSettings[EpisodesPanel],
    options=(PublishedOption,),
    nc1=NC1("few-shot accuracy beside NC1", images="training and test, as one"),
)
