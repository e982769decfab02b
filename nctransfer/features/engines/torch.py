"""PyTorch, the reference, on any device."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from nctransfer.features.outputs import outputs
from nctransfer.features.settings import FeaturesJobSettings
from nctransfer.models.backbone import Backbone
from nctransfer.models.folding import fold_batch_norm


@contextmanager
def prepare(
    backbone: Backbone, poolings: Sequence[str], settings: FeaturesJobSettings
) -> Iterator[Callable[[Tensor], dict[str, Tensor]]]:
    """See the package. The backbone is changed in place."""
    device = next(backbone.buffers()).device
    if settings.fold_batch_norm:
        fold_batch_norm(backbone)
    if settings.channels_last:
        backbone = backbone.to(memory_format=torch.channels_last)
    half = settings.precision == "bfloat16"

    def run(pixels: Tensor) -> dict[str, Tensor]:
        inputs = backbone.normalise(pixels)
        if settings.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return outputs(backbone, inputs, poolings)

    with torch.autocast(device.type, torch.bfloat16) if half else nullcontext():
        yield run
