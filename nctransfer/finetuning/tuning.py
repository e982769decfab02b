"""The effect of a fine-tuning method on a network: which parameters train, what the classifier sees.

Source: the paper, section 4 and Appendix E. Each module of ``nctransfer.finetuning.methods`` has
``prepare(task) -> TunedNetwork``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nctransfer.data.keyed_random import Stream, default_generator
from nctransfer.errors import ModelError
from nctransfer.finetuning.method import MethodSettings
from nctransfer.finetuning.settings import Statistics
from nctransfer.finetuning.tuned_network import TunedNetwork
from nctransfer.models.backbone import Backbone
from nctransfer.models.tuned import without_head


@dataclass(frozen=True)
class Task:
    """Input of a method."""

    backbone: Backbone  # the base model, frozen; a method changes it in place
    class_names: Sequence[str]  # of the downstream data, K
    settings: MethodSettings  # of the method
    statistics: Statistics  # treatment of running statistics (see ``running_statistics``)
    seed: int  # of the initial values of classifier and adapters
    checkpoint: Path | None = None  # weights file of a local base model, else None

    @property
    def units(self) -> tuple[int, ...]:
        """The tuned units, shallowest first."""
        return tuple(sorted(self.settings.units))


def linear_classifier(width: int, classes: int, seed: int) -> nn.Linear:
    """A linear layer with torch's default initial values, which depend only on ``seed``."""
    with default_generator(seed, Stream.CLASSIFIER):
        return nn.Linear(width, classes)


def mlp_classifier(width: int, hidden: int, classes: int, seed: int) -> nn.Sequential:
    """The paper's MLP probe: two layers with a ReLU between them."""
    with default_generator(seed, Stream.CLASSIFIER):
        return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, classes))


def tuned_units(
    task: Task, skip: Sequence[int] = (), last: int | None = None, trained: Sequence[int] | None = None
) -> TunedNetwork:
    """A network whose tuned units (or those in ``trained``) train with a linear classifier.

    Units in ``skip`` have a skip connection to the classifier, and ``last`` is the deepest unit of a
    shortened network. ModelError where a unit does not exist or has nothing to train, or no skip connection
    is possible.
    """
    check_units(task.backbone, task.units)
    backbone = without_head(task.backbone, skip, last)
    classifier = linear_classifier(backbone.width, len(task.class_names), task.seed)
    backbone.network.requires_grad_(False)
    for index in task.units if trained is None else trained:
        backbone.network.get_submodule(backbone.units[index - 1].name).requires_grad_(True)
    return TunedNetwork(backbone, classifier, task.units, task.statistics, last)


def check_units(backbone: Backbone, units: Iterable[int]) -> None:
    """Raise ModelError, with the allowed units, for units that do not exist or have no parameters."""
    name, last = backbone.identity.name, len(backbone.units)
    modules = {unit.index: backbone.network.get_submodule(unit.name) for unit in backbone.units}
    trainable = [
        str(index) for index, module in modules.items() if next(module.parameters(), None) is not None
    ]
    for index in units:
        if not 1 <= index <= last:
            raise ModelError(f"{name}: no unit {index} to tune; allowed are 1 to {last}")
        unit = backbone.units[index - 1]
        if str(index) not in trainable:
            raise ModelError(
                f"{name}: unit {index} ({unit.name}, {unit.type}) has no parameters to tune; allowed are "
                f"{', '.join(trainable) or 'none'}"
            )


def read_parameters(tuned: TunedNetwork) -> set[str]:
    """Names of the network's parameters on which the logits depend, by a backward pass of a blank image.

    A network may have parameters after its penultimate feature (CLIP's projection), which are not part of the
    tuned model.
    """
    network = tuned.backbone.network
    required = {name: parameter.requires_grad for name, parameter in network.named_parameters()}
    network.requires_grad_(True)
    try:
        with torch.enable_grad():
            tuned.eval()
            blank = torch.zeros(1, 3, *tuned.backbone.identity.size, device=tuned.device)
            logits: Tensor = tuned(blank)
            names = list(required)
            parameters = [network.get_parameter(name) for name in names]
            gradients = torch.autograd.grad(logits.sum(), parameters, allow_unused=True)
    finally:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(required[name])
    return {name for name, gradient in zip(names, gradients, strict=True) if gradient is not None}


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a tuned model and its classifier: trained ones, and all on which the logits depend."""

    trained: int
    all: int

    @property
    def share(self) -> float:
        """Percentage that trains (Table 3)."""
        return 100 * self.trained / self.all


def count_parameters(tuned: TunedNetwork) -> ParameterCount:
    """Count trained parameters and all on which the logits depend; both include LoRA's adapters."""
    names = read_parameters(tuned)
    network = [parameter for name, parameter in tuned.backbone.network.named_parameters() if name in names]
    parts = [*network, *tuned.classifier.parameters()]
    trained = sum(parameter.numel() for parameter in parts if parameter.requires_grad)
    return ParameterCount(trained, sum(parameter.numel() for parameter in parts))
