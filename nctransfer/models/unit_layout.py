"""Where a network's units, head and penultimate feature are, and helpers to find them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from torch import nn

from nctransfer.errors import ModelError


@dataclass(frozen=True)
class Unit:
    """A fine-tuning unit: residual block, encoder layer, ...

    Attributes:
        index: 1 is the shallowest, L the deepest; 0 is the stem, that is the input of unit 1.
        name: path of the module in the network.
        type: class name of the module.
        width: length of the pooled output.
    """

    index: int
    name: str
    type: str
    width: int


@dataclass(frozen=True)
class Tap:
    """A place in a network where a tensor is read: the input or the output of a module."""

    module: str
    side: Literal["input", "output"]


@dataclass(frozen=True)
class UnitLayout:
    """Places in a network, as module paths.

    Attributes:
        units: the fine-tuning units, shallowest first.
        penultimate: where the backbone's last feature is read.
        heads: the modules that make logits; the first one's input is the penultimate
            feature, the others (distillation heads) share it. Empty without a head.
        poolings: the poolings that the units' outputs allow.
        prefix: tokens before the patches (class token, registers).
        channel_dim: where the channels of a four-dimensional map are: 1, or -1 for (N, H, W, C).
        pooled_by: the pooling that makes the penultimate feature, and so what SCL FT adds to it; empty
            for the class token where there is one, the last of the poolings elsewhere.
    """

    units: tuple[str, ...]
    penultimate: Tap
    heads: tuple[str, ...] = ()
    poolings: tuple[str, ...] = ("avg",)
    prefix: int = 0
    channel_dim: int = 1
    pooled_by: str = ""

    @property
    def feature_pooling(self) -> str:
        """Pooling of a unit's output that is to it what the penultimate feature is to the last one's."""
        return self.pooled_by or ("cls" if "cls" in self.poolings else self.poolings[-1])


def blocks_of_type(network: nn.Module, types: Collection[str]) -> tuple[str, ...]:
    """Paths of the modules whose class name is in ``types``, in order, outermost only."""
    paths: list[str] = []
    for path, module in network.named_modules():
        nested = bool(paths) and path.startswith(f"{paths[-1]}.")
        if type(module).__name__ in types and not nested:
            paths.append(path)
    return tuple(paths)


def children_of(network: nn.Module, container: str) -> tuple[str, ...]:
    """Paths of a container's direct children, in order."""
    return tuple(f"{container}.{name}" for name, _ in network.get_submodule(container).named_children())


def trunk(network: nn.Module) -> tuple[str, nn.Module]:
    """The network itself, or the timm trunk that open_clip wraps, and the prefix of its paths."""
    inner = getattr(network, "trunk", None)
    return ("trunk.", inner) if isinstance(inner, nn.Module) else ("", network)


def classifying_layers(network: nn.Module) -> tuple[str, ...]:
    """Paths of the modules that make logits.

    timm's networks name them (``get_classifier``, an ``nn.Identity`` without classes);
    elsewhere it is the last layer with weights of shape (classes, features, ...).
    """
    prefix, inner = trunk(network)
    get_classifier = getattr(inner, "get_classifier", None)
    if callable(get_classifier):
        named = get_classifier()
        wanted = named if isinstance(named, (tuple, list)) else (named,)
        paths = {id(module): path for path, module in inner.named_modules(remove_duplicate=False)}
        heads = tuple(f"{prefix}{paths[id(module)]}" for module in wanted if id(module) in paths)
    else:
        layers = [
            path for path, module in inner.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))
        ]
        heads = (f"{prefix}{layers[-1]}",) if layers else ()
    if not heads:
        raise ModelError(f"{type(inner).__name__}: no classification layer, so no penultimate feature")
    return heads


def has_weights(network: nn.Module, path: str) -> bool:
    """Whether the module at ``path`` has any parameters (an ``nn.Identity`` head has none)."""
    return any(True for _ in network.get_submodule(path).parameters())


def with_head(network: nn.Module, units: tuple[str, ...], **rest: object) -> UnitLayout:
    """UnitLayout of a network whose penultimate feature is the input of its classification layer.

    Raises:
        ModelError: no units were found.
    """
    if not units:
        raise ModelError(
            f"{type(network).__name__}: no units that this unit layout finds; set `unit_layout` of the "
            "model to another one (`stages` finds the stages of most timm networks)"
        )
    heads = classifying_layers(network)
    kept = tuple(path for path in heads if has_weights(network, path))
    return UnitLayout(units=units, penultimate=Tap(heads[0], "input"), heads=kept, **rest)  # type: ignore[arg-type]
