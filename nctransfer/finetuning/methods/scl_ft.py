"""SCL FT: Layer FT whose classifier also sees the tuned units' outputs, by a skip connection."""

from nctransfer.finetuning.network import TunedNetwork
from nctransfer.finetuning.tuning import Task, tuned_units


def prepare(task: Task) -> TunedNetwork:
    """Tune the units of the settings, and pass the outputs of all of them to the classifier."""
    return tuned_units(task, skip=task.units)
