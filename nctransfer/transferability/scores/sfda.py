"""SFDA (Shao et al. 2022, arXiv 2207.03036): discriminant analysis, then again on mixed samples."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nctransfer.collapse.spectrum import second_moment
from nctransfer.transferability.gaussian import log_posteriors, refuse_flat_classes, shrunk_whitener
from nctransfer.transferability.problem import Problem, class_sums

TITLES = {"sfda": "SFDA"}

Rows = Callable[[], Iterator[tuple[slice, Tensor]]]  # blocks (B, d) float64 with their place


def terms(problem: Problem) -> dict[str, float]:
    """Mean posterior of the true class in the second round, in [0, 1].

    First round: discriminant analysis with the within-class covariance shrunk by s = max(exp(-5 l), 1e-10), l
    its largest eigenvalue (the published code approximates it by six products). Every sample then moves to p
    h + (1 - p) o, o the mean of the other classes' means and p the softmax of its posteriors at its own
    class. The second round analyses the moved samples, with the same s. The original features are not
    changed. The shrinkage magnifies what the rounding of float16 features makes of a direction without
    variance: store such features as float32. Raises DegenerateInputError: all samples of every class are
    equal.
    """
    refuse_flat_classes(problem)
    means, targets, samples = problem.statistics.centred_means, problem.targets, problem.statistics.samples
    centre = problem.statistics.means.mean(0)

    def centred() -> Iterator[tuple[slice, Tensor]]:
        # a tiny variance is inverted: far from the origin no digits would be left
        for part, block in problem.blocks():
            yield part, block - centre

    first, shrinkage = _own_posteriors(problem, centred, means, None, soften=True)
    others = (means.sum(0) - means) / (len(means) - 1)

    def mixed() -> Iterator[tuple[slice, Tensor]]:
        for part, block in centred():
            share = first[part, None]
            yield part, share * block + (1 - share) * others[targets[part]]

    sums = torch.zeros_like(means)
    for part, block in mixed():
        sums += class_sums(block, targets[part], len(means))
    second, _ = _own_posteriors(problem, mixed, sums / problem.counts[:, None], shrinkage, soften=False)
    return {"sfda": float(second.sum()) / samples}


def _own_posteriors(
    problem: Problem, rows: Rows, means: Tensor, shrinkage: float | None, soften: bool
) -> tuple[Tensor, float]:
    """Posterior (N,) of the true class of each row, after a second softmax if ``soften``, and shrinkage."""
    targets = problem.targets
    residuals = (block - means[targets[part]] for part, block in rows())
    values, vectors = torch.linalg.eigh(second_moment(residuals, len(targets)))
    if shrinkage is None:
        shrinkage = max(math.exp(-5 * float(values[-1])), 1e-10)
    axes, parts = shrunk_whitener(values, vectors, shrinkage), []
    solved = means @ axes @ axes.T
    for part, block in rows():
        posteriors = log_posteriors(block, means, solved, problem.log_priors).exp()
        posteriors = posteriors.softmax(1) if soften else posteriors
        parts.append(posteriors.gather(1, targets[part, None])[:, 0])
    return torch.cat(parts), shrinkage
