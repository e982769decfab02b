"""Settings of a loss, selected by its name."""

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, SerializeAsAny

from nctransfer import variants
from nctransfer.settings import Settings
from nctransfer.training import losses


class LossSettings(Settings):
    """Base of the settings of losses; a loss with options derives its own in ``settings.py``."""

    embeds: ClassVar[bool] = False  # whether it acts on embeddings instead of a classifier's logits

    name: str
    """Variant of `nctransfer.training.losses`."""


AnyLossSettings = Annotated[
    SerializeAsAny[LossSettings], BeforeValidator(variants.settings_reader(losses, "name", LossSettings))
]
