"""What the plan must know of the kind ``search``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import SearchPanelSettings
from nctransfer.reporting.settings import SearchPanel, TableSettings

KIND = Kind(
    shows="Learning rate and weight decay",
    caption=(
        "For each method the learning rate and weight decay of the grid with the highest accuracy on images "
        "held out of the training split (the test split is not opened), the range of accuracies over the "
        "grid, the pair that was published, and the pair in use (finetuning.rates) with its origin. Pairs "
        "name the learning rate first."
    ),
    panel=SearchPanelSettings,
    settings=TableSettings[SearchPanel],
    collapse=False,
)
