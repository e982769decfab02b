"""Projection heads: between the penultimate feature and the loss, in pre-training only.

Source: the paper's section on pre-training; MLP-k has k hidden layers with ReLU, so that the linear head is
MLP-0 and the head of Khosla et al. 2020 is MLP-1.
"""

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn

from nctransfer.errors import ModelError
from nctransfer.training.settings import ProjectionHeadSettings


def projection_head(width: int, layers: int, hidden: int, output: int) -> nn.Sequential:
    """An MLP from ``width`` to ``output`` with ``layers`` hidden layers and ReLUs; linear for 0 layers."""
    widths = [width, *[hidden] * layers]
    modules: list[nn.Module] = []
    for before, after in pairwise(widths):
        modules += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*modules, nn.Linear(widths[-1], output))


def attach_head(
    network: nn.Module, path: str, projection: ProjectionHeadSettings, classes: int | None
) -> None:
    """Replace the ``nn.Linear`` at ``path`` (else ModelError) by a head, in place, before any classifier."""
    try:
        layer = network.get_submodule(path) if path else None
    except AttributeError:
        layer = None
    if not isinstance(layer, nn.Linear):
        kind = "nothing" if layer is None else type(layer).__name__
        raise ModelError(
            f"{type(network).__name__}: there is {kind} at {path!r}; only an nn.Linear can be replaced"
        )
    width, output = layer.in_features, projection.output
    parts: list[nn.Module] = [projection_head(width, projection.layers, projection.hidden or width, output)]
    if classes is not None:
        parts.append(nn.Linear(output, classes))
    head = nn.Sequential(*parts).to(layer.weight)
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, head)


def without_head(state: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """A state dict without the module at ``path``."""
    return {name: value for name, value in state.items() if not name.startswith(f"{path}.")}
