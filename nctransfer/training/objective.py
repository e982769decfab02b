"""The interface of a loss to the training loop.

``loss.py`` of each loss in ``nctransfer.training.losses`` has ``build(settings, classes)``, which returns an
:class:`Objective`.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Objective(nn.Module, ABC):
    """A loss, what it requires and the classes that it predicts; checkpoints store its buffers."""

    # augmented views of each image in a batch; the outputs are those of all first views, then those of all
    # second views, with labels repeated likewise
    views: int
    classifies: bool  # the network ends in a linear classifier; otherwise in the projection head

    @abstractmethod
    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss over a batch: outputs (views B, d), labels (views B,) int64; a float32 scalar."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Classes (B,) int64 of outputs (B, d); only meaningful if ``ready``."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether ``predict`` is meaningful yet."""

    @abstractmethod
    def observe(self, outputs: Tensor, labels: Tensor) -> None:
        """Process the outputs, detached, and the labels of a training step."""

    @abstractmethod
    def end_epoch(self) -> None:
        """Called when every training sample has been observed."""


class Classifying(Objective):
    """A loss on logits: the largest logit gives the class, and nothing needs to be observed."""

    views = 1
    classifies = True

    def predict(self, outputs: Tensor) -> Tensor:
        """Class of the largest logit."""
        return outputs.argmax(1)

    @property
    def ready(self) -> bool:
        """Always."""
        return True

    def observe(self, outputs: Tensor, labels: Tensor) -> None:
        """Does nothing."""

    def end_epoch(self) -> None:
        """Does nothing."""
