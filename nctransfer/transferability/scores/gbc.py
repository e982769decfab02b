"""GBC (Pandy et al. 2022, arXiv 2111.12780): Gaussian Bhattacharyya coefficients between the classes."""

from nctransfer.transferability.gaussian import bhattacharyya
from nctransfer.transferability.problem import Problem

TITLES = {"gbc": "GBC"}


def terms(problem: Problem) -> dict[str, float]:
    """-sum_{i != j} exp(-D_ij), D of spherical Gaussians in 64 principal components.

    The published code lacks the number of dimensions before the logarithms. DegenerateInputError for a class
    without variance.
    """
    return {"gbc": -float((-bhattacharyya(problem)).exp().sum())}
