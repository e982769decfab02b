"""Running statistics of normalisation layers on downstream data.

``update`` is the paper's way (Appendix E.2): every method, linear probing included, trains with
the batch's statistics and keeps running ones. ``recalibrated`` measures them once on the
downstream training images and then leaves them, ``frozen`` keeps the source's.
"""

import logging
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nctransfer.finetuning.tuned_network import TunedNetwork

logger = logging.getLogger(__name__)


@torch.no_grad()
def recalibrate(tuned: TunedNetwork, batches: Iterable[Tensor]) -> None:
    """Measure all running statistics anew: the means over the batches of mean and variance.

    Everything but the normalisation layers is in evaluation mode meanwhile, so nothing is random
    (torch's ``update_bn`` would switch dropout on).

    Args:
        tuned: before its training.
        batches: pixels of the training images, (N, 3, H, W) each, N > 1.
    """
    norms = tuned.norms()
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    tuned.eval()
    for norm in norms:
        _reset(norm)
    for pixels in batches:
        tuned(pixels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    logger.info("statistics of %d normalisation layers recalibrated", len(norms))


def _reset(norm: nn.Module) -> None:
    norm.reset_running_stats()  # type: ignore[operator]
    norm.momentum = None  # type: ignore[assignment]  # a cumulative mean
    norm.train()
