"""MLP probe: only a two-layer classifier trains (the paper's hidden layer is 1024 wide)."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method, MethodSettings
from nctransfer.settings import Count, Settings

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task


class MLPOptions(Settings):
    """Options of the MLP probe."""

    hidden: Count = 1024
    """Width of the hidden layer (mlp)."""


class MLPSettings(MethodSettings, MLPOptions):
    """Settings of the MLP probe."""


METHOD = Method("MLP", place=1, tunes_units=False, settings=MLPSettings)


def prepare(task: "Task") -> "TunedNetwork":
    """A two-layer classifier on the frozen backbone."""
    # torch, which the plan must not import
    from nctransfer.finetuning.tuning import mlp_classifier, tuned_units

    assert isinstance(task.settings, MLPSettings)
    tuned = tuned_units(task, trained=())
    width, classes = tuned.backbone.width, len(task.class_names)
    tuned.classifier = mlp_classifier(width, task.settings.hidden, classes, task.seed).to(tuned.device)
    return tuned
