"""The skip connection of SCL FT: the classifier sees the tuned units' outputs too."""

from collections.abc import Iterable, Sequence

from torch import Tensor
from torch.nn import functional

from nctransfer.errors import ModelError
from nctransfer.models.unit_layout import Unit


def check_skip(units: Iterable[Unit], width: int, model: str) -> None:
    """Refuse units that are wider than the penultimate feature, to which they are added.

    Args:
        units: that are skipped from.
        width: of the penultimate feature.
        model: its name, for the message.

    Raises:
        ModelError: names the unit.
    """
    for unit in units:
        if unit.width > width:
            raise ModelError(
                f"{model}: no skip connection from unit {unit.index} ({unit.name}), which "
                f"is {unit.width} wide, to the penultimate feature of width {width}; choose a narrower unit, "
                "or method layer_ft"
            )


def summed_feature(penultimate: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """What the classifier of SCL FT sees: the penultimate feature and the tuned units' outputs.

    Source: the paper, section 4: units narrower than the penultimate feature are zero-padded.

    Args:
        penultimate: (N, d).
        outputs: of the tuned units, pooled, each (N, at most d).

    Returns:
        (N, d); the penultimate feature itself where there is nothing to add.
    """
    for output in outputs:
        missing = penultimate.shape[1] - output.shape[1]
        penultimate = penultimate + (functional.pad(output, (0, missing)) if missing else output)
    return penultimate
