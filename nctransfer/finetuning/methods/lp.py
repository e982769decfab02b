"""Linear probe: only the classifier trains."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task

METHOD = Method("LP", place=0, tunes_units=False)


def prepare(task: "Task") -> "TunedNetwork":
    """A linear classifier on the frozen backbone."""
    from nctransfer.finetuning.tuning import tuned_units  # torch, which the plan must not import

    return tuned_units(task, trained=())
