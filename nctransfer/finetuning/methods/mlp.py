"""MLP probe: a two-layer classifier alone trains (the paper's hidden layer is 1024 wide)."""

from nctransfer.finetuning.network import TunedNetwork
from nctransfer.finetuning.tuning import Task, mlp_classifier, tuned_units


def prepare(task: Task) -> TunedNetwork:
    """A two-layer classifier on the frozen backbone; settings: hidden."""
    tuned = tuned_units(task, trained=())
    width, classes = tuned.backbone.width, len(task.class_names)
    tuned.classifier = mlp_classifier(width, task.settings["hidden"], classes, task.seed).to(tuned.device)
    return tuned
