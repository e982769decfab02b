"""NC1, negated, and over its value under shuffled labels (Li et al. 2024, eq. 4)."""

from nctransfer.collapse.nc1 import nc1, shuffled_nc1
from nctransfer.transferability.problem import Problem

TITLES = {"nc1": "\N{MINUS SIGN}NC1", "nc1_over_null": "\N{MINUS SIGN}NC1/null"}


def terms(problem: Problem) -> dict[str, float]:
    """-NC1, and -NC1 / NC1 under shuffled labels (mean of 3 shuffles); DegenerateInputError if undefined."""
    value = nc1(problem.statistics)
    return {"nc1": -value, "nc1_over_null": -value / shuffled_nc1(problem.statistics, seed=problem.seed)}
