"""PARC (Bolya et al. 2021, arXiv 2111.06977): do images that look alike to the model share their label?"""

import numpy as np
import torch
from scipy.stats import rankdata

from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.problem import Problem

TITLES = {"parc": "PARC"}
LIMIT = "pair_samples"

COMPONENTS = 32


def terms(problem: Problem) -> dict[str, float]:
    """Spearman's correlation over pairs of samples of 1 - r of features and of one-hot labels.

    Features are 32 principal components, standardised; r is Pearson's of two samples' components. In
    [-1, 1]; the published code gives it times 100.

    Raises:
        DegenerateInputError: fewer than three principal components, whose r says nothing.
    """
    _, points = problem.principal(COMPONENTS)
    if points.shape[1] < 3:
        raise DegenerateInputError(
            f"{problem.name}: {points.shape[1]} principal components, too few to correlate samples by"
        )
    points = points / points.std(0, correction=0)
    points = points - points.mean(1, keepdim=True)
    points = points / points.norm(dim=1, keepdim=True)
    one, other = torch.triu_indices(len(points), len(points), 1, device=points.device)
    distances = 1 - (points @ points.T)[one, other]
    differ = (problem.targets[one] != problem.targets[other]).cpu().numpy().astype(float)
    # a variable of two values keeps its correlation under ranking
    return {"parc": float(np.corrcoef(rankdata(distances.cpu().numpy()), differ)[0, 1])}
