"""SCL FT: Layer FT whose classifier also sees the tuned units' outputs, by a skip connection."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task

METHOD = Method("SCL FT", place=3)


def prepare(task: "Task") -> "TunedNetwork":
    """Tune the units of the settings, with a skip connection from each of them to the classifier."""
    from nctransfer.finetuning.tuning import tuned_units  # torch, which the plan must not import

    return tuned_units(task, skip=task.units)
