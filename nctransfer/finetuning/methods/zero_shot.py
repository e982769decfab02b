"""Zero-shot: CLIP's text tower makes the classifier, and nothing trains."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from nctransfer.finetuning.method import Method, MethodSettings
from nctransfer.settings import Settings

if TYPE_CHECKING:
    from nctransfer.finetuning.tuned_network import TunedNetwork
    from nctransfer.finetuning.tuning import Task


class TextTowerSettings(Settings):
    """The model whose text tower is asked."""

    source: str
    """`open_clip`, or `local` where the weights are a file."""
    name: str | None = None
    """Architecture of open_clip."""
    weights: str | None = None
    """Its pre-trained tag."""
    architecture: str | None = None
    """`open_clip/NAME` (local)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Of the architecture's builder (local)."""


class ZeroShotSettings(MethodSettings):
    """What zero-shot is told."""

    model: TextTowerSettings
    """The model that is asked."""
    data_set: str | None
    """What the field calls the data set, for its prompts."""


METHOD = Method("Zero-shot", place=7, tunes_units=False, trains=False, settings=ZeroShotSettings)


def prepare(task: "Task") -> "TunedNetwork":
    """Classify by prompts.

    Raises:
        ModelError: the model has no text tower.
    """
    from nctransfer.finetuning.prompts import readable, templates  # torch, which the plan must not import
    from nctransfer.finetuning.text import TextClassifier, ZeroShotNetwork, text_classifier

    settings = task.settings
    assert isinstance(settings, ZeroShotSettings)
    names = [readable(name, settings.data_set) for name in task.class_names]
    device = next(task.backbone.buffers()).device
    embeddings, scale = text_classifier(
        settings.model, task.checkpoint, names, templates(settings.data_set), device
    )
    task.backbone.network.requires_grad_(False)
    return ZeroShotNetwork(task.backbone, TextClassifier(embeddings, scale), (), task.statistics)
