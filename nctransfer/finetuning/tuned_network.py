"""A backbone and a classifier during fine-tuning: trained parameters, modes, and first computed unit."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nctransfer.models.backbone import Backbone
from nctransfer.models.tuned import CLASSIFIER, NETWORK


class TunedNetwork(nn.Module):
    """Logits of a downstream task; parameters with ``requires_grad`` train.

    It takes pixels in [0, 1] and standardises them itself; after :meth:`begin_at` it takes the inputs of that
    place instead, and computes nothing below.

    In training mode, only modules that train are in training mode; of dropout, only that inside units: frozen
    modules never drop anything, and dropout in front of the source classifier is removed for all methods.
    Normalisation layers use and update the statistics of the batch under ``statistics: update``, whether they
    train or not (the paper, Appendix E.2), and running statistics otherwise.

    The ``backbone`` has no source head (``models.tuned.without_head``), the ``classifier`` is of the feature,
    (N, d) to (N, K); ``last`` is the deepest unit of the shortened network, None for all.
    """

    def __init__(
        self,
        backbone: Backbone,
        classifier: nn.Module,
        units: Sequence[int],
        statistics: str,
        last: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier.to(self.device)
        self.units, self.statistics, self.last = tuple(units), statistics, last
        self._places = backbone.feature_places()
        self._begin: Callable[[Tensor], Tensor] | None = None
        self._norms = self._norms_in_use()

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.backbone.buffers()).device

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (N, K) of pixels (N, 3, H, W), or of the inputs set by :meth:`begin_at`."""
        logits: Tensor = self.classifier(self.feature(inputs))
        return logits

    def feature(self, inputs: Tensor) -> Tensor:
        """The input of the classifier, (N, d)."""
        if self._begin is not None:
            return self._begin(inputs)
        return self.read(self.backbone.standardise(inputs))

    def read(self, images: Tensor) -> Tensor:
        """The feature (N, d) of standardised images."""
        values, _ = self.backbone.read(images, self._places, stop="penultimate")
        return self.backbone.feature(values)[1]

    def begin_at(self, begin: Callable[[Tensor], Tensor] | None) -> None:
        """Compute features by ``begin`` from now on; None: from pixels."""
        self._begin = begin

    def norms(self) -> list[nn.Module]:
        """Normalisation layers with running statistics, except those of removed units."""
        return self._norms

    def _norms_in_use(self) -> list[nn.Module]:
        modules = self.backbone.network.modules()
        tracking = [module for module in modules if getattr(module, "track_running_stats", False)]
        norms = [module for module in tracking if getattr(module, "running_mean", None) is not None]
        if self.last is None:
            return norms
        used: set[int] = set()
        hooks = [norm.register_forward_hook(lambda norm, *_: used.add(id(norm))) for norm in norms]
        self.backbone.network.eval()
        with torch.no_grad():
            self.feature(torch.zeros(1, 3, *self.backbone.identity.size, device=self.device))
        for hook in hooks:
            hook.remove()
        return [norm for norm in norms if id(norm) in used]

    def train(self, mode: bool = True) -> "TunedNetwork":
        """Set the mode; see the class."""
        super().train(False)
        if mode:
            for module in (*self.backbone.network.modules(), *self.classifier.modules()):
                trainable = [parameter.requires_grad for parameter in module.parameters()]
                if trainable and all(trainable):
                    module.train()
            for module in self._outer_dropout():
                module.eval()
            for norm in self.norms():
                norm.training = self.statistics == "update"
        return self

    def _outer_dropout(self) -> list[nn.Module]:
        """Dropout of the network outside its units."""
        inside = tuple(f"{path}." for path in self.backbone.layout.units)
        return [
            module
            for path, module in self.backbone.network.named_modules()
            if isinstance(module, nn.modules.dropout._DropoutNd) and not path.startswith(inside)
        ]

    def kept(self) -> dict[str, Tensor]:
        """Tensors of the network that a run changes: trained parameters and running statistics."""
        network = self.backbone.network
        trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
        if self.statistics == "frozen":
            return dict(trained)
        tracking = set(map(id, self.norms()))
        statistics = {
            f"{path}.{name}": value
            for path, module in network.named_modules()
            if id(module) in tracking
            for name, value in module.named_buffers(recurse=False)
        }
        return {**trained, **statistics}

    @property
    def lora_scale(self) -> float:
        """Scale of low-rank changes, 1 where there are none."""
        return 1.0

    def tensors(self) -> dict[str, Tensor]:
        """The changed tensors and the classifier, by the names of ``models.tuned``."""
        parts = (NETWORK, self.kept()), (CLASSIFIER, self.classifier.state_dict())
        return {f"{part}{name}": value for part, tensors in parts for name, value in tensors.items()}
