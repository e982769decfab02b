"""Layer FT: the tuned units and the classifier train."""

from nctransfer.finetuning.network import TunedNetwork
from nctransfer.finetuning.tuning import Task, tuned_units


def prepare(task: Task) -> TunedNetwork:
    """Tune the units of the settings."""
    return tuned_units(task)
