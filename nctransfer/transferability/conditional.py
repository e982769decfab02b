"""How well source predictions predict the downstream classes: the common part of LEEP and NLEEP."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nctransfer.transferability.problem import Problem, class_sums

ROWS = 4096  # in a block of probabilities

Probabilities = Callable[[], Iterator[Tensor]]
"""p(z|x) of all samples in order, in blocks (ROWS, Z) float64; called twice."""


def mean_log_expectation(problem: Problem, probabilities: Probabilities) -> float:
    """Mean over samples of log sum_z P(y|z) p(z|x), Nguyen et al. 2020 (arXiv 2002.12462) eq. 2.

    P(y, z) is the mean over the samples of class y of p(z|x); outcomes z without mass are left out. Memory is
    that of one block, however many outcomes there are.
    """
    targets, classes = problem.targets.split(ROWS), len(problem.counts)
    joint: Tensor | None = None
    for labels, part in zip(targets, probabilities(), strict=True):
        sums = class_sums(part, labels, classes)
        joint = sums if joint is None else joint + sums
    assert joint is not None
    mass = joint.sum(0)
    conditional = torch.where(mass > 0, joint / mass.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    pairs = zip(targets, probabilities(), strict=True)
    logs = [(conditional[labels] * part).sum(1).log() for labels, part in pairs]
    return float(torch.cat(logs).mean())
