"""What a loss is to the training loop, beyond a number to lower.

Each loss of ``nctransfer.training.losses`` has ``build(settings, classes)`` in its ``loss.py``, which returns
an :class:`Objective`.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Objective(nn.Module, ABC):
    """A loss with what it asks of the network and the data, and how it names a class.

    Its buffers are part of a run's state and belong into its checkpoints.

    Attributes:
        views: augmented views of each image in a batch; the outputs are those of the first views,
            then those of the second, the labels repeated alike.
        classifies: the network ends in a linear classifier; otherwise it ends with the projection head.
    """

    views: int
    classifies: bool

    @abstractmethod
    def forward(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss over a batch: outputs (views B, d), labels (views B,) int64; a float32 scalar."""

    @abstractmethod
    def predict(self, outputs: Tensor) -> Tensor:
        """Classes (B,) int64 of outputs (B, d); only meaningful once ``ready``."""

    @property
    @abstractmethod
    def ready(self) -> bool:
        """Whether ``predict`` means something yet."""

    @abstractmethod
    def observe(self, outputs: Tensor, labels: Tensor) -> None:
        """Take note of a training step: its outputs, detached, and labels."""

    @abstractmethod
    def end_epoch(self) -> None:
        """Take note that every training sample has been observed."""


class Classifying(Objective):
    """A loss of logits, one for each class: the largest names the class, and nothing need be observed."""

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
        """Nothing to note."""

    def end_epoch(self) -> None:
        """Nothing to note."""
