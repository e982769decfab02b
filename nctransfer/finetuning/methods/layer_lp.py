"""Layer LP: Layer FT with every unit above the deepest tuned one removed (Fig. 9a)."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task

METHOD = Method("Layer LP", place=4)


def prepare(task: "Task") -> "TunedNetwork":
    """Tune the units of the settings in a network that ends after the deepest of them."""
    from nctransfer.finetuning.tuning import check_units, tuned_units  # torch, which the plan must not import

    check_units(task.backbone, task.units)
    return tuned_units(task, last=task.units[-1])
