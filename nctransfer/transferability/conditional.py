"""How well source predictions tell the downstream classes: what LEEP, NLEEP and NCE share."""

import torch
from torch import Tensor

from nctransfer.transferability.problem import Problem

ROWS = 4096  # rows of a block of probabilities


def mean_log_expectation(problem: Problem, probabilities: Tensor) -> float:
    """Mean over samples of log sum_z P(y|z) p(z|x), Nguyen et al. 2020 (arXiv 2002.12462) eq. 2.

    P(y, z) is the mean over the samples of class y of p(z|x); outcomes z without mass are left out.

    Args:
        problem: N samples of K classes.
        probabilities: p(z|x), (N, Z) float64.
    """
    joint = torch.zeros(len(problem.counts), probabilities.shape[1]).to(probabilities)
    joint.index_add_(0, problem.targets, probabilities)
    mass = joint.sum(0)
    conditional = torch.where(mass > 0, joint / mass.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
    logs = [
        (conditional[targets] * part).sum(1).log()
        for targets, part in zip(problem.targets.split(ROWS), probabilities.split(ROWS), strict=True)
    ]
    return float(torch.cat(logs).mean())
