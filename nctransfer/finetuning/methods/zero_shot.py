"""Zero-shot: CLIP's text tower provides the classifier, and nothing trains."""

from typing import TYPE_CHECKING

from nctransfer.finetuning.method import Method, MethodSettings
from nctransfer.models.settings import TextTowerSettings

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task


class ZeroShotSettings(MethodSettings):
    """Settings of zero-shot classification."""

    model: TextTowerSettings
    """The model whose text tower is used."""
    data_set: str | None
    """Usual name of the data set, which selects its prompts."""


METHOD = Method("Zero-shot", place=7, tunes_units=False, trains=False, settings=ZeroShotSettings)


def prepare(task: "Task") -> "TunedNetwork":
    """Classify by prompts; ModelError where the model has no text tower."""
    from nctransfer.finetuning.prompts import readable, templates  # torch, which the plan must not import
    from nctransfer.finetuning.text import TextClassifier, ZeroShotNetwork, text_classifier

    settings = task.settings
    assert isinstance(settings, ZeroShotSettings)
    names = [readable(name, settings.data_set) for name in task.class_names]
    device = next(task.backbone.buffers()).device
    prompts = templates(settings.data_set)
    embeddings, scale = text_classifier(settings.model, task.checkpoint, names, prompts, device)
    task.backbone.network.requires_grad_(False)
    return ZeroShotNetwork(task.backbone, TextClassifier(embeddings, scale), (), task.statistics)
