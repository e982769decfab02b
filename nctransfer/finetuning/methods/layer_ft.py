"""Layer FT: the tuned units and the classifier train."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task

METHOD = Method("Layer FT", place=2)


def prepare(task: "Task") -> "TunedNetwork":
    """Tune the units of the settings."""
    from nctransfer.finetuning.tuning import tuned_units  # torch, which the plan must not import

    return tuned_units(task)
