"""Where a network's parameters are: in the stem, in which unit, between units, behind the last one.

Counted along the graph of one forward pass, so parameters count that the penultimate feature depends on,
and no others (auxiliary classifiers, CLIP's projection, a head's own).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nctransfer.models.backbone import STEM, blank_backbone
from nctransfer.models.unit_layout import UnitLayout


@dataclass(frozen=True)
class ParameterPlaces:
    """Numbers of parameters; each is counted once.

    Attributes:
        stem: what the input of unit 1 depends on.
        units: of each unit's module, in order.
        between: outside the units, first met on the way to each unit's output (transitions of a DenseNet).
        last: outside the units, met behind the last one (a final norm).
    """

    stem: int
    units: tuple[int, ...]
    between: tuple[int, ...]
    last: int


def locate_parameters(
    network: nn.Module, layout: UnitLayout, size: tuple[int, int], device: torch.device | str = "cpu"
) -> ParameterPlaces:
    """Count parameters by place, by one forward pass of a blank image.

    Args:
        network: in evaluation mode, on ``device`` (``meta`` will do); all its parameters require
            gradients afterwards.
        layout: its layout.
        size: height and width of the image.
        device: where the network is.
    """
    places = _graphs(network.requires_grad_(True), layout, size, device)
    order: list[Any] = [*range(len(layout.units) + 1), "penultimate"]
    seen: set[Any] = set()
    met = {place: _parameters_behind(places[place], seen) for place in order}
    owner: dict[int, int] = {}
    for index, path in enumerate(layout.units):
        for parameter in network.get_submodule(path).parameters():
            owner.setdefault(id(parameter), index)
    inside = [0] * len(layout.units)
    outside = dict.fromkeys(order, 0)
    for place, leaves in met.items():
        for leaf in leaves:
            if (unit := owner.get(id(leaf))) is not None:
                inside[unit] += leaf.numel()
            else:
                outside[place] += leaf.numel()
    between = tuple(outside[index] for index in range(1, len(layout.units) + 1))
    return ParameterPlaces(outside[STEM], tuple(inside), between, outside["penultimate"])


def head_parameters(network: nn.Module, layout: UnitLayout) -> int:
    """Parameters of the modules that make logits."""
    return sum(
        parameter.numel() for path in layout.heads for parameter in network.get_submodule(path).parameters()
    )


def _graphs(
    network: nn.Module, layout: UnitLayout, size: tuple[int, int], device: torch.device | str
) -> Mapping[Any, Any]:
    """Nodes of the graph that make the stem's, every unit's and the penultimate output; None for an input."""
    probe = blank_backbone(network, layout, size)
    places: dict[Any, Any] = {
        index: (probe.tap(index), lambda x: x.grad_fn) for index in range(len(layout.units) + 1)
    }
    # read as it is there: later steps in place would move it on in the graph
    places["penultimate"] = (layout.penultimate, lambda x: x.grad_fn)
    with torch.enable_grad():
        nodes, _ = probe.read(torch.zeros(1, 3, *size, device=device), places, stop="penultimate")
    return nodes


def _parameters_behind(node: Any, seen: set[Any]) -> Iterable[Tensor]:
    """Leaves of the graph behind a node, less what was seen before."""
    leaves, todo = [], [node]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if type(node).__name__ == "AccumulateGrad":
            leaves.append(node.variable)
        todo += [following for following, _ in node.next_functions]
    return leaves
