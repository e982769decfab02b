"""PARC (Bolya et al. 2021, arXiv 2111.06977): do images with similar features have the same label?"""

import numpy as np
import torch
from scipy.stats import rankdata

from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.problem import Problem

TITLES = {"parc": "PARC"}
LIMIT = "pair_samples"

COMPONENTS = 32
TIE = 10  # decimals of a distance beyond which two are equal


def terms(problem: Problem) -> dict[str, float]:
    """Spearman's correlation over pairs of samples of 1 - r of features and of one-hot labels.

    Features are 32 principal components, standardised; r is Pearson's correlation of the components of two
    samples. In [-1, 1]; the published code multiplies it by 100. r depends on the signs of the components:
    here the sum of cubes of each is positive, so that neither the order of the rows nor signs or a rotation
    of the axes change the score. Components of equal variance have no definite directions, and then the score
    has no definite value. Distances that differ by less than 1e-10 are tied. Raises DegenerateInputError:
    fewer than three principal components, for which r is uninformative.
    """
    points = problem.principal(COMPONENTS).points
    if points.shape[1] < 3:
        raise DegenerateInputError(
            f"{problem.name}: {points.shape[1]} principal components, too few to correlate samples by"
        )
    points = points / points.std(0, correction=0)
    points = points - points.mean(1, keepdim=True)
    points = points / points.norm(dim=1, keepdim=True)
    one, other = torch.triu_indices(len(points), len(points), 1, device=points.device)
    distances = (1 - (points @ points.T)[one, other]).round(decimals=TIE)
    differ = (problem.targets[one] != problem.targets[other]).cpu().numpy().astype(float)
    # ranking does not change the correlation with a variable of two values
    return {"parc": float(np.corrcoef(rankdata(distances.cpu().numpy()), differ)[0, 1])}
