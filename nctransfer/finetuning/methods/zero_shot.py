"""Zero-shot: CLIP's text tower makes the classifier, and nothing trains."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from nctransfer.finetuning.network import TunedNetwork
from nctransfer.finetuning.prompts import readable, templates
from nctransfer.finetuning.text import text_classifier
from nctransfer.finetuning.tuning import Task


class TextClassifier(nn.Module):
    """Scaled cosines of image embeddings with the classes' text embeddings.

    Args:
        embeddings: of the classes, (K, d), unit norm.
        scale: of the logits.
    """

    embeddings: Tensor
    scale: Tensor

    def __init__(self, embeddings: Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("embeddings", embeddings)
        self.register_buffer("scale", torch.tensor(scale, device=embeddings.device))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, K) of image embeddings (N, d)."""
        return self.scale * functional.normalize(features.float()) @ self.embeddings.T


class ZeroShotNetwork(TunedNetwork):
    """A network whose own output, CLIP's embedding, is what the classifier sees."""

    def read(self, images: Tensor) -> Tensor:
        """The embedding (N, d) of standardised images."""
        embedding: Tensor = self.backbone.network(images)
        return embedding


def prepare(task: Task) -> TunedNetwork:
    """Classify by prompts; settings: model (its entry), data_set (what the field calls it, or None).

    Raises:
        ModelError: the model has no text tower.
    """
    data_set = task.settings["data_set"]
    names = [readable(name, data_set) for name in task.class_names]
    device = next(task.backbone.buffers()).device
    embeddings, scale = text_classifier(
        task.settings["model"], task.checkpoint, names, templates(data_set), device
    )
    task.backbone.network.requires_grad_(False)
    return ZeroShotNetwork(task.backbone, TextClassifier(embeddings, scale), (), task.statistics)
