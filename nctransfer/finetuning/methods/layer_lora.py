"""Layer LoRA: low-rank changes of the tuned units' linear maps train, and the classifier."""

from nctransfer.finetuning.lora import AdaptedNetwork, adapt
from nctransfer.finetuning.tuning import Task, tuned_units


def prepare(task: Task) -> AdaptedNetwork:
    """Put adapters on all linear maps of the tuned units; settings: rank, alpha."""
    tuned = tuned_units(task, trained=())
    paths = [tuned.backbone.units[index - 1].name for index in task.units]
    adapt(tuned.backbone.network, paths, task.settings["rank"], task.settings["alpha"], task.seed)
    return AdaptedNetwork(tuned.backbone, tuned.classifier, tuned.units, tuned.statistics)
