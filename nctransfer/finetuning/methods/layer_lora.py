"""Layer LoRA: the classifier and low-rank changes of the tuned units' linear maps train."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method, MethodSettings
from nctransfer.settings import Count, Positive, Settings

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task


class LoRAOptions(Settings):
    """Options of Layer LoRA."""

    rank: Count = 96
    """Rank of the adapters (layer_lora)."""
    alpha: Positive | None = None
    """Scale of the adapters is alpha / rank (layer_lora); `null` takes the rank."""


class LoRASettings(MethodSettings, LoRAOptions):
    """Settings of Layer LoRA."""


METHOD = Method("Layer LoRA", place=6, settings=LoRASettings)


def prepare(task: "Task") -> "TunedNetwork":
    """Put adapters on all linear maps of the tuned units."""
    from nctransfer.finetuning.lora import AdaptedNetwork, adapt  # torch, which the plan must not import
    from nctransfer.finetuning.tuning import tuned_units

    assert isinstance(task.settings, LoRASettings)
    tuned = tuned_units(task, trained=())
    paths = [tuned.backbone.units[index - 1].name for index in task.units]
    adapt(tuned.backbone.network, paths, task.settings.rank, task.settings.alpha, task.seed)
    return AdaptedNetwork(tuned.backbone, tuned.classifier, tuned.units, tuned.statistics)
