"""Variability collapse index, negated (Xu and Liu 2023, arXiv 2306.03440)."""

from nctransfer.collapse.nc1 import vci
from nctransfer.transferability.problem import Problem

TITLES = {"vci": "\N{MINUS SIGN}VCI"}


def terms(problem: Problem) -> dict[str, float]:
    """-VCI; DegenerateInputError for fewer samples than dimensions, where any labels look collapsed."""
    return {"vci": -vci(problem.statistics)}
