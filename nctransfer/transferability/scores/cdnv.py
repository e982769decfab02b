"""Class-distance normalised variance, negated (Galanti et al. 2022, arXiv 2112.15121)."""

from nctransfer.collapse.nc1 import cdnv
from nctransfer.transferability.problem import Problem

TITLES = {"cdnv": "\N{MINUS SIGN}CDNV"}


def terms(problem: Problem) -> dict[str, float]:
    """-CDNV; DegenerateInputError where two classes have the same mean."""
    return {"cdnv": -cdnv(problem.statistics)}
