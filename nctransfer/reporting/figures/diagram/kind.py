"""What the plan must know of the kind ``diagram``."""

from nctransfer.config.kinds import Kind
from nctransfer.config.panels import DiagramPanelSettings, LayoutOption
from nctransfer.reporting.settings import DiagramSettings

KIND = Kind(
    shows="A model's units, as a diagram",
    caption=(
        "A diagram of a model, computed from the network itself: its units with their widths and "
        "parameters. Layout layerwise: the backbone is frozen, and a linear probe reads the features of "
        "every unit. Layout tuning: what a fine-tuning method trains; Layer FT trains one unit and the "
        "classifier, SCL FT adds a skip connection from the tuned unit to the classifier. Layout "
        "candidates: the units that can be tuned (of a ResNet the first block of each stage)."
    ),
    panel=DiagramPanelSettings,
    settings=DiagramSettings,
    options=(LayoutOption,),
)
