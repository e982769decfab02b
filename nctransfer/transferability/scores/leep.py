"""LEEP (Nguyen et al. 2020, arXiv 2002.12462): how well source predictions predict the classes."""

from nctransfer.transferability.conditional import ROWS, mean_log_expectation
from nctransfer.transferability.problem import Problem

TITLES = {"leep": "LEEP"}
NEEDS_HEAD = True


def terms(problem: Problem) -> dict[str, float]:
    """Mean log expected empirical prediction, at most 0; DegenerateInputError without a source classifier."""
    blocks = problem.source_logits.split(ROWS)
    return {"leep": mean_log_expectation(problem, lambda: (part.double().softmax(1) for part in blocks))}
