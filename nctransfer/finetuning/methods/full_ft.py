"""Full FT: all parameters train on which the classifier depends."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task

METHOD = Method("Full FT", place=5, tunes_units=False)


def prepare(task: "Task") -> "TunedNetwork":
    """Tune the whole network."""
    # torch, which the plan must not import
    from nctransfer.finetuning.tuning import read_parameters, tuned_units

    tuned = tuned_units(task, trained=())
    network = tuned.backbone.network
    for name in read_parameters(tuned):
        network.get_parameter(name).requires_grad_(True)
    return tuned
