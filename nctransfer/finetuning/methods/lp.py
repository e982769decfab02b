"""Linear probe: the classifier alone trains."""

from nctransfer.finetuning.network import TunedNetwork
from nctransfer.finetuning.tuning import Task, tuned_units


def prepare(task: Task) -> TunedNetwork:
    """A linear classifier on the frozen backbone."""
    return tuned_units(task, trained=())
