"""NCE (Tran et al. 2019, arXiv 1908.08142): negative entropy of the classes given source classes."""

import torch

from nctransfer.transferability.problem import Problem

TITLES = {"nce": "NCE"}
NEEDS_HEAD = True


def terms(problem: Problem) -> dict[str, float]:
    """-H(y|z) in nats, z the source class of the largest logit; DegenerateInputError without a classifier."""
    sources, outcomes = problem.source_logits.argmax(1), problem.source_logits.shape[1]
    pairs = torch.bincount(problem.targets * outcomes + sources, minlength=len(problem.counts) * outcomes)
    joint = pairs.view(-1, outcomes).double() / problem.statistics.samples
    conditional = joint / joint.sum(0).clamp(min=torch.finfo(torch.float64).tiny)
    return {"nce": float(torch.xlogy(joint, conditional).sum())}
