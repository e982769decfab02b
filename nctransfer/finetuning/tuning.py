"""What a fine-tuning method does to a network: which parameters train, what the classifier sees.

Source: the paper, section 4 and Appendix E. Each module of ``nctransfer.finetuning.methods``
has ``prepare(task) -> TunedNetwork``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nctransfer.errors import ModelError
from nctransfer.finetuning.method import MethodSettings
from nctransfer.finetuning.settings import Statistics
from nctransfer.finetuning.tuned_network import TunedNetwork
from nctransfer.models.backbone import Backbone
from nctransfer.models.tuned import without_head


@dataclass(frozen=True)
class Task:
    """What a method is given.

    Attributes:
        backbone: the base model, frozen; a method changes it in place.
        class_names: of the downstream data, K.
        settings: of the method.
        statistics: what becomes of running statistics (see the module ``statistics``).
        seed: of the classifier's and the adapters' first values.
        checkpoint: weights file of a local base model, None elsewhere.
    """

    backbone: Backbone
    class_names: Sequence[str]
    settings: MethodSettings
    statistics: Statistics
    seed: int
    checkpoint: Path | None = None

    @property
    def units(self) -> tuple[int, ...]:
        """The tuned units, shallowest first."""
        return tuple(sorted(self.settings.units))


def linear_classifier(width: int, classes: int, seed: int) -> nn.Linear:
    """A linear layer with torch's usual first values, drawn from ``seed`` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Linear(width, classes)


def mlp_classifier(width: int, hidden: int, classes: int, seed: int) -> nn.Sequential:
    """The paper's MLP probe: two layers with a ReLU between them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def tuned_units(
    task: Task, skip: Sequence[int] = (), last: int | None = None, trained: Sequence[int] | None = None
) -> TunedNetwork:
    """A network whose tuned units train with a linear classifier.

    Args:
        task: what the method was given.
        skip: units that the classifier sees too.
        last: the deepest unit that is kept, None for all.
        trained: units whose parameters train; None for the tuned ones.

    Raises:
        ModelError: there is no such unit, it has nothing to train, or no skip connection is possible.
    """
    check_units(task.backbone, task.units)
    backbone = without_head(task.backbone, skip, last)
    classifier = linear_classifier(backbone.width, len(task.class_names), task.seed)
    units = task.units if trained is None else trained
    paths = [backbone.units[index - 1].name for index in units]
    train_only(backbone.network, paths)
    return TunedNetwork(backbone, classifier, task.units, task.statistics, last)


def check_units(backbone: Backbone, units: Iterable[int]) -> None:
    """Refuse units that are not there or have no parameters.

    Raises:
        ModelError: names the unit and what is allowed.
    """
    name, last = backbone.identity.name, len(backbone.units)
    for index in units:
        if not 1 <= index <= last:
            raise ModelError(f"{name}: no unit {index} to tune; allowed are 1 to {last}")
        unit = backbone.units[index - 1]
        if not any(True for _ in backbone.network.get_submodule(unit.name).parameters()):
            able = [
                str(other.index)
                for other in backbone.units
                if any(True for _ in backbone.network.get_submodule(other.name).parameters())
            ]
            raise ModelError(
                f"{name}: unit {index} ({unit.name}, {unit.type}) has no parameters to tune; allowed are "
                f"{', '.join(able) or 'none'}"
            )


def train_only(network: nn.Module, paths: Iterable[str]) -> None:
    """Have the parameters of some modules train, and no others."""
    network.requires_grad_(False)
    for path in paths:
        network.get_submodule(path).requires_grad_(True)


def read_parameters(tuned: TunedNetwork) -> set[str]:
    """Names of the network's parameters that the classifier depends on.

    A network may hold parameters behind its penultimate feature (CLIP's projection): they are no part
    of the tuned model. Found by one backward pass of a blank image.
    """
    network = tuned.backbone.network
    wanted = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    network.requires_grad_(True)
    try:
        with torch.enable_grad():
            tuned.eval()
            height, width = tuned.backbone.identity.size
            logits: Tensor = tuned(torch.zeros(1, 3, height, width, device=tuned.device))
            names = list(wanted)
            gradients = torch.autograd.grad(
                logits.sum(), [network.get_parameter(name) for name in names], allow_unused=True
            )
    finally:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(wanted[name])
    return {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a tuned model, its classifier among them.

    Attributes:
        trained: those that train.
        all: those that its logits depend on.
    """

    trained: int
    all: int

    @property
    def share(self) -> float:
        """Share that trains, in percent (Table 3)."""
        return 100 * self.trained / self.all


def count_parameters(tuned: TunedNetwork) -> ParameterCount:
    """Count what trains and what there is, less what the classifier never sees.

    Under LoRA the adapters count, on both sides.
    """
    read = read_parameters(tuned)
    network = [parameter for name, parameter in tuned.backbone.network.named_parameters() if name in read]
    classifier = list(tuned.classifier.parameters())
    return ParameterCount(
        trained=sum(parameter.numel() for parameter in (*network, *classifier) if parameter.requires_grad),
        all=sum(parameter.numel() for parameter in (*network, *classifier)),
    )
