"""Where the parameters of a network are: in the stem, in units, between units, or after the last one.

They are counted along the graph of one forward pass, so that only those count on which the penultimate
feature depends (not auxiliary classifiers, CLIP's projection, or the head).
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
    """Numbers of parameters; each is counted once."""

    stem: int  # parameters on which the input of unit 1 depends
    units: tuple[int, ...]  # parameters of each unit's module, in order
    # outside the units, first used for the output of each unit (transitions of a DenseNet)
    between: tuple[int, ...]
    last: int  # outside the units, used after the last one (a final norm)


def locate_parameters(
    network: nn.Module, layout: UnitLayout, size: tuple[int, int], device: torch.device | str = "cpu"
) -> ParameterPlaces:
    """Count parameters by place, by one forward pass of a blank image of ``size`` (height, width).

    The network is in evaluation mode, on ``device`` (``meta`` is allowed); all its parameters require
    gradients afterwards.
    """
    places = _graphs(network.requires_grad_(True), layout, size, device)
    order: list[Any] = [*range(len(layout.units) + 1), "penultimate"]
    seen: set[Any] = set()
    used = {place: _parameters_behind(places[place], seen) for place in order}
    owner: dict[int, int] = {}
    for index, path in enumerate(layout.units):
        for parameter in network.get_submodule(path).parameters():
            owner.setdefault(id(parameter), index)
    inside = [0] * len(layout.units)
    outside = dict.fromkeys(order, 0)
    for place, leaves in used.items():
        for leaf in leaves:
            if (unit := owner.get(id(leaf))) is not None:
                inside[unit] += leaf.numel()
            else:
                outside[place] += leaf.numel()
    between = tuple(outside[index] for index in range(1, len(layout.units) + 1))
    return ParameterPlaces(outside[STEM], tuple(inside), between, outside["penultimate"])


def head_parameters(network: nn.Module, layout: UnitLayout) -> int:
    """Number of parameters of the modules that compute logits."""
    return sum(
        parameter.numel() for path in layout.heads for parameter in network.get_submodule(path).parameters()
    )


def _graphs(
    network: nn.Module, layout: UnitLayout, size: tuple[int, int], device: torch.device | str
) -> Mapping[Any, Any]:
    """Autograd nodes of the stem's, every unit's and the penultimate output; None for an input."""
    probe = blank_backbone(network, layout, size)
    places: dict[Any, Any] = {
        index: (probe.tap(index), lambda x: x.grad_fn) for index in range(len(layout.units) + 1)
    }
    # the node is read inside the pass: later in-place steps would replace it
    places["penultimate"] = (layout.penultimate, lambda x: x.grad_fn)
    with torch.enable_grad():
        nodes, _ = probe.read(torch.zeros(1, 3, *size, device=device), places, stop="penultimate")
    return nodes


def _parameters_behind(node: Any, seen: set[Any]) -> Iterable[Tensor]:
    """Leaves of the graph behind a node, except those already seen."""
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
