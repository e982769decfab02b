"""Running statistics of normalisation layers on downstream data.

``update`` is the paper's method (Appendix E.2): all methods, including linear probing, train with the
statistics of the batch and update the running ones. ``recalibrated`` measures them once on the downstream
training images and then fixes them, ``frozen`` keeps those of the source model.
"""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor

from nctransfer.finetuning.tuned_network import TunedNetwork

logger = logging.getLogger(__name__)


@torch.no_grad()
def recalibrate(tuned: TunedNetwork, batches: Iterable[Tensor]) -> None:
    """Measure all running statistics: means over batches of pixels (N, 3, H, W), N > 1, of mean and variance.

    Everything but the normalisation layers is in evaluation mode meanwhile, so that nothing is random
    (torch's ``update_bn`` would switch dropout on).
    """
    norms = tuned.norms()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    tuned.eval()
    for norm in norms:
        norm.reset_running_stats()  # type: ignore[operator]
        norm.momentum = None  # type: ignore[assignment]  # a cumulative mean
        norm.train()
    for pixels in batches:
        tuned(pixels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    logger.info("statistics of %d normalisation layers recalibrated", len(norms))
