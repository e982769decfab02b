"""Full FT: everything trains that the classifier depends on."""

from nctransfer.finetuning.network import TunedNetwork
from nctransfer.finetuning.tuning import Task, read_parameters, tuned_units


def prepare(task: Task) -> TunedNetwork:
    """Tune the whole network."""
    tuned = tuned_units(task, trained=())
    network = tuned.backbone.network
    for name in read_parameters(tuned):
        network.get_parameter(name).requires_grad_(True)
    return tuned
