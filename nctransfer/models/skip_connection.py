"""The skip connection of SCL FT: the classifier also sees the outputs of the tuned units."""

from collections.abc import Iterable, Sequence

from torch import Tensor
from torch.nn import functional

from nctransfer.errors import ModelError
from nctransfer.models.unit_layout import Unit


def check_skip(units: Iterable[Unit], width: int, model: str) -> None:
    """Raise ModelError for a unit wider than the penultimate feature (``width``), to which it is added."""
    for unit in units:
        if unit.width > width:
            raise ModelError(
                f"{model}: no skip connection from unit {unit.index} ({unit.name}), which "
                f"is {unit.width} wide, to the penultimate feature of width {width}; choose a narrower unit, "
                "or method layer_ft"
            )


def summed_feature(penultimate: Tensor, outputs: Sequence[Tensor]) -> Tensor:
    """The feature (N, d) that SCL FT's classifier sees: penultimate feature (N, d) plus tuned units' outputs.

    Source: the paper, section 4: units narrower than the penultimate feature are zero-padded. The outputs are
    pooled, each (N, at most d).
    """
    for output in outputs:
        missing = penultimate.shape[1] - output.shape[1]
        penultimate = penultimate + (functional.pad(output, (0, missing)) if missing else output)
    return penultimate
