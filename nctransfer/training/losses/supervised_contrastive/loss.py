"""Supervised contrastive loss: views of one class attract each other and repel all others.

Source: Khosla et al. 2020 (arXiv 2004.11362), equation 2 (L_out).
"""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_metric_learning.losses import SupConLoss  # type: ignore[import-untyped]
from pytorch_metric_learning.reducers import MeanReducer  # type: ignore[import-untyped]
from torch import Tensor
from torch.nn import functional

from nctransfer.training.losses.supervised_contrastive.settings import SupervisedContrastiveOptions
from nctransfer.training.objective import Objective


class SupervisedContrastive(Objective):
    """L_out, averaged over both views of all images, of embeddings projected to the unit sphere.

    The library that computes the loss waits for the device in every step, so that on a GPU the host cannot
    run as far ahead as with other losses. A batch in which all images are of one class has the loss 0. As the
    classes have no outputs, the predicted class is the one whose mean direction, among the embeddings of the
    last complete epoch, has the largest cosine.
    """

    views = 2
    classifies = False
    sums: Tensor  # of the unit embeddings of the current epoch, by class, shape (K, d), float32
    # of the class means of the last complete epoch, shape (K, d); zero for a class without samples, which is
    # never predicted
    directions: Tensor

    def __init__(self, temperature: float, classes: int) -> None:
        super().__init__()
        # the library's default mean leaves out anchors whose loss is 0
        self.loss = SupConLoss(temperature=temperature, reducer=MeanReducer())
        # the width is unknown before the first embeddings or a loaded state
        self.register_buffer("sums", torch.zeros(classes, 0))
        self.register_buffer("directions", torch.zeros(classes, 0))

    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of embeddings (2 B, d) and labels (2 B,), with both views of each image."""
        with torch.autocast(outputs.device.type, enabled=False):
            return self.loss(outputs.float(), labels)

    def predict(self, outputs: Tensor) -> Tensor:
        """Class of the nearest mean direction, for embeddings (B, d)."""
        absent = ~self.directions.any(dim=1)
        with torch.autocast(outputs.device.type, enabled=False):
            cosines = functional.normalize(outputs.float()) @ self.directions.T
        return cosines.masked_fill(absent, -torch.inf).argmax(1)

    @property
    def ready(self) -> bool:
        """Whether an epoch has ended."""
        return bool(self.directions.any())

    def observe(self, outputs: Tensor, labels: Tensor) -> None:
        """Add the embeddings (B, d) to their classes' sums."""
        with torch.autocast(outputs.device.type, enabled=False):
            embeddings = functional.normalize(outputs.detach().float())
            # a product, because index_add on a GPU sums in any order
            members = functional.one_hot(labels, len(self.sums)).to(embeddings.dtype)
            sums = members.T @ embeddings
        self.sums = self.sums + sums if self.sums.numel() else sums

    def end_epoch(self) -> None:
        """Turn the sums into directions and reset them; without samples, the last directions stay."""
        if bool(self.sums.any()):
            self.directions = functional.normalize(self.sums)
            self.sums = torch.zeros_like(self.sums)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        for name in ("sums", "directions"):
            if (stored := state_dict.get(prefix + name)) is not None:
                setattr(self, name, getattr(self, name).new_empty(stored.shape))
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def build(settings: SupervisedContrastiveOptions, classes: int) -> SupervisedContrastive:
    """Create the objective."""
    return SupervisedContrastive(settings.temperature, classes)
