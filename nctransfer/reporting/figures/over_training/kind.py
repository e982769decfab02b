"""What the plan must know of the kind ``over_training``."""

from nctransfer.config.kinds import NC1, Kind
from nctransfer.config.panels import SnapshotsPanelSettings
from nctransfer.reporting.settings import FigureSettings, SnapshotsPanel

KIND = Kind(
    shows="Collapse over training",
    caption=(
        "Neural collapse while a model trains on its source data, by epoch: NC1 and NC2 of the penultimate "
        "feature and, where the model's own classifier was kept, NC3 and NC4; loss and accuracy."
    ),
    panel=SnapshotsPanelSettings,
    settings=FigureSettings[SnapshotsPanel],
    nc1=NC1("NC1 over the epochs of a pre-training"),
)
