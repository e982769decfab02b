"""Where the units, the head and the penultimate feature of a network are, and helpers to find them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from torch import nn

from nctransfer.errors import ModelError


@dataclass(frozen=True)
class Unit:
    """A fine-tuning unit: residual block, encoder layer, ..."""

    index: int  # 1 is the shallowest, L the deepest; 0 is the stem, that is, the input of unit 1
    name: str  # path of the module in the network
    type: str  # class name of the module
    width: int  # length of the pooled output


@dataclass(frozen=True)
class Tap:
    """A place where a tensor is read: the input or the output of a module."""

    module: str
    side: Literal["input", "output"]


@dataclass(frozen=True)
class Form:
    """How the positions of an output are arranged."""

    prefix: int = 0  # number of tokens before the patches (class token, registers) in (N, L, C)
    channel_dim: int = 1  # dimension of the channels of a map: 1, or -1 for (N, H, W, C)


@dataclass(frozen=True)
class UnitLayout:
    """Places in a network, as module paths."""

    units: tuple[str, ...]  # the fine-tuning units, shallowest first
    penultimate: Tap  # where the last feature of the backbone is read
    # the modules that compute logits; the input of the first is the penultimate feature, the others
    # (distillation heads) share it. Empty without a head.
    heads: tuple[str, ...] = ()
    poolings: tuple[str, ...] = ("avg",)  # the poolings that the outputs of the units allow
    # what the network declares of all its outputs, and what was seen at the stem, each unit and the
    # penultimate feature (``nctransfer.models.observation``); empty where nothing was seen yet
    declared: Form = Form()
    forms: tuple[Form, ...] = ()
    # the pooling of the penultimate feature, hence of the outputs that SCL FT adds to it; if empty, that of
    # the class token where there is one, else the last of the poolings
    pooled_by: str = ""

    @property
    def feature_pooling(self) -> str:
        """The pooling that makes the output of a unit comparable to the penultimate feature."""
        return self.pooled_by or ("cls" if "cls" in self.poolings else self.poolings[-1])

    def form(self, index: int) -> Form:
        """Form of the output of unit ``index``: 0 is the stem, -1 the penultimate feature."""
        return self.forms[index] if self.forms else self.declared


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
    """Prefix of the paths, and the network itself or the timm network that open_clip wraps."""
    inner = getattr(network, "trunk", None)
    return ("trunk.", inner) if isinstance(inner, nn.Module) else ("", network)


def classifying_layers(network: nn.Module) -> tuple[str, ...]:
    """Paths of the modules that compute logits; ModelError if there are none.

    timm's networks name them (``get_classifier``, an ``nn.Identity`` without classes); in others it is the
    last layer with weights of shape (classes, features, ...).
    """
    prefix, inner = trunk(network)
    get_classifier = getattr(inner, "get_classifier", None)
    if callable(get_classifier):
        classifier = get_classifier()
        classifiers = classifier if isinstance(classifier, (tuple, list)) else (classifier,)
        paths = {id(module): path for path, module in inner.named_modules(remove_duplicate=False)}
        heads = tuple(f"{prefix}{paths[id(module)]}" for module in classifiers if id(module) in paths)
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


def with_head(network: nn.Module, units: tuple[str, ...], **fields: object) -> UnitLayout:
    """Layout of a network whose penultimate feature is the input of its classification layer.

    That of timm's encoders without one is the output of the last unit.

    Raises:
        ModelError: there are no units.
    """
    if not units:
        raise ModelError(
            f"{type(network).__name__}: this unit layout finds no units in it; set `unit_layout` of the "
            "model to another one (`stages` finds the stages of most timm networks)"
        )
    _, inner = trunk(network)
    if type(inner).__module__.startswith("timm.") and not hasattr(inner, "get_classifier"):
        # an encoder for a language model: its last linear layer is inside a block, or projects
        return UnitLayout(units=units, penultimate=Tap(units[-1], "output"), **fields)  # type: ignore[arg-type]
    heads = classifying_layers(network)
    weighted = tuple(path for path in heads if has_weights(network, path))
    return UnitLayout(units=units, penultimate=Tap(heads[0], "input"), heads=weighted, **fields)  # type: ignore[arg-type]
