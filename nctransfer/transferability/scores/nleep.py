"""N-LEEP (Li et al. 2021, arXiv 2011.11200): LEEP with the components of a mixture as source classes."""

import logging
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from nctransfer.collapse.rounding import eigenvalue_rounding
from nctransfer.collapse.spectrum import torch_threads
from nctransfer.data.keyed_random import Stream, stream_seed
from nctransfer.transferability.conditional import ROWS, mean_log_expectation
from nctransfer.transferability.problem import Problem

logger = logging.getLogger(__name__)

TITLES = {"nleep": "N-LEEP"}
LIMIT = "mixture_samples"

ENERGY = 0.8  # share of the variance in the principal components
RATIO = 5  # components per class


def terms(problem: Problem) -> dict[str, float]:
    """LEEP of the posteriors of a mixture of 5 K Gaussians (at most N / 2) in principal components.

    The mixture is seeded. Its covariances are diagonal: of 5 K full ones, scikit-learn's default in the code
    of Shao et al. (2022), each would have fewer samples than dimensions.
    """
    variances = problem.statistics.covariance.spectrum.variances
    energy = variances.cumsum(0) / variances.sum()
    tie = eigenvalue_rounding(*problem.features.shape)  # variances that sum to 0.8 up to rounding suffice
    points = problem.principal(int((energy < ENERGY - tie).sum()) + 1).points.cpu().numpy()
    mixture = GaussianMixture(
        n_components=max(1, min(RATIO * len(problem.counts), len(points) // 2)),
        covariance_type="diag",
        random_state=stream_seed(problem.seed, Stream.MIXTURE) % 2**32,
    )
    with warnings.catch_warnings(), torch_threads():
        warnings.simplefilter("ignore", ConvergenceWarning)  # logged below
        mixture.fit(points)
    if not mixture.converged_:
        logger.info("%s: the mixture of N-LEEP stops after %d steps", problem.name, mixture.n_iter_)
    posteriors = torch.from_numpy(mixture.predict_proba(points)).to(problem.targets.device)
    return {"nleep": mean_log_expectation(problem, lambda: iter(posteriors.split(ROWS)))}
