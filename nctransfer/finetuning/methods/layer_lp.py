"""Layer LP: Layer FT with every unit above the deepest tuned one removed (Fig. 9a)."""

from nctransfer.finetuning.network import TunedNetwork
from nctransfer.finetuning.tuning import Task, check_units, tuned_units


def prepare(task: Task) -> TunedNetwork:
    """Tune the units of the settings at the end of a network that stops there."""
    check_units(task.backbone, task.units)
    return tuned_units(task, last=task.units[-1])
