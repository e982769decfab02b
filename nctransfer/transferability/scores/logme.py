"""LogME (You et al. 2021, arXiv 2102.11005): evidence of Bayesian linear regression on the classes."""

import logging
import math

import torch
from torch import Tensor

from nctransfer.transferability.problem import Problem, class_sums

logger = logging.getLogger(__name__)

TITLES = {"logme": "LogME"}

ITERATIONS = 1000
TOLERANCE = 1e-12
SMALLEST = 1e-12  # ratio of precisions, as a share of the smallest eigenvalue
GRID = 100  # number of ratios tried as the start of the iteration


def terms(problem: Problem) -> dict[str, float]:
    """Mean over classes of the largest log evidence per sample of y = H w + noise; y is 1 in the class.

    Features are not centred. All d eigenvalues of H^T H count, d - rank of them zero, also where N < d (the
    widely copied fixed point omits them there). All classes iterate together. Where H has rank N the noise
    vanishes and the evidence stays finite; a class that is fitted without error in other cases counts with
    the rounding error of its fit as noise.
    """
    squares, shares, residuals = _spectrum(problem)
    samples, rank = problem.statistics.samples, len(squares)
    smallest = torch.finfo(torch.float64).tiny if rank == samples else torch.finfo(torch.float64).eps
    # alpha / beta, the prior's precision to the noise's
    ratio = _start(squares, shares, residuals, samples, smallest)
    for _ in range(ITERATIONS):
        penalised = squares + ratio[:, None]
        effective = (squares / penalised).sum(1)
        weights = (squares * shares / penalised.square()).sum(1)
        errors = (shares * (ratio[:, None] / penalised).square()).sum(1) + residuals
        alpha = effective / weights.clamp(min=torch.finfo(torch.float64).tiny)
        beta = (ratio[:, None] / penalised).sum(1) + samples - rank
        beta = beta / errors.clamp(min=smallest * float(samples))
        previous, ratio = ratio, (alpha / beta).clamp(min=SMALLEST * float(squares.min()))
        if bool(((ratio - previous).abs() <= TOLERANCE * previous).all()):
            break
    else:
        logger.info("%s: LogME's evidence still moved after %d steps", problem.name, ITERATIONS)
    # at the fixed point the two quadratic terms of the evidence sum to N / 2
    evidence = (
        rank * alpha.log() - (squares + ratio[:, None]).log().sum(1) - samples * (1 + math.log(2 * math.pi))
    )
    if rank < samples:
        evidence += (samples - rank) * beta.log()
    return {"logme": float(evidence.mean()) / (2 * samples)}


def _start(squares: Tensor, shares: Tensor, residuals: Tensor, samples: int, smallest: float) -> Tensor:
    """The ratio (K,) of a grid with the largest evidence, which may have several maxima.

    Where the features lie far from the origin, one direction can explain the frequency of a class, or all of
    them its members: iterated from a fixed ratio, the smaller maximum can win.
    """
    low, high = float(squares.min().log10()) - 3, float(squares.max().log10()) + 3
    grid = torch.logspace(low, high, GRID, dtype=squares.dtype, device=squares.device)
    noise = grid / (squares[:, None] + grid)  # (r, G), share of y along a direction that counts as noise
    errors = (shares @ noise + residuals[:, None]).clamp(min=smallest * samples)
    evidence = noise.log().sum(0) - samples * errors.log()
    return grid[evidence.argmax(1)]


def _spectrum(problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
    """Squared singular values of H (r,), parts of ||y||^2 along each (K, r), and residuals (K,)."""
    features, counts = problem.features, problem.counts.double()
    samples, covariance = len(features), problem.statistics.covariance
    if covariance.is_gram:
        rows = features.double()
        values, left = torch.linalg.eigh(rows @ rows.T)
        significant = covariance.significant(values / samples, left)
        shares = class_sums(left[:, significant], problem.targets, len(counts)).square()
    else:
        moment = covariance.matrix + covariance.centre[:, None] * covariance.centre
        values, right = torch.linalg.eigh(moment * samples)
        significant = covariance.significant(values / samples, right)
        sums = counts[:, None] * problem.statistics.means
        shares = (sums @ right[:, significant]).square() / values[significant]
    residuals = (counts - shares.sum(1)).clamp(min=0)
    if int(significant.sum()) == samples:
        residuals = torch.zeros_like(counts)
    return values[significant], shares, residuals
