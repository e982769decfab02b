"""All scores of one model's features."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType

from nctransfer.errors import DegenerateInputError
from nctransfer.transferability.problem import Problem
from nctransfer.transferability.settings import ScoringSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Term:
    """A number that a score gave, or why it gave none.

    Attributes:
        score: name of the score's module.
        name: of the number; where the module gave none, of each score that it would give.
        value: NaN where it has none.
        reason: why it has none, else empty.
        samples: on how many samples it was computed.
    """

    score: str
    name: str
    value: float
    reason: str
    samples: int


def needs_head(module: ModuleType) -> bool:
    """Whether a score reads the source classifier's logits, so that units have none."""
    return bool(getattr(module, "NEEDS_HEAD", False))


def evaluate(problem: Problem, scores: Mapping[str, ModuleType], settings: ScoringSettings) -> list[Term]:
    """Every term of every score.

    Args:
        problem: features and labels.
        scores: modules of :mod:`nctransfer.transferability.scores` by name.
        settings: tell how many samples a score is given at most, by the name in its module's ``LIMIT``.

    Returns:
        terms in the order of the scores. A score without a meaning on these features says why.
    """
    evaluated = []
    limits = {
        "samples": settings.samples,
        "pair_samples": settings.pair_samples,
        "mixture_samples": settings.mixture_samples,
    }
    for name, module in scores.items():
        shown = problem
        try:
            if hasattr(module, "LIMIT"):
                shown = replace(problem, logits=problem.logits if needs_head(module) else None)
                shown = shown.subsample(limits[module.LIMIT])
            values = module.terms(shown)
            for term, value in values.items():
                if not math.isfinite(value):
                    raise DegenerateInputError(f"{shown.name}: {term} is {value}")
        except DegenerateInputError as error:
            logger.info("%s has no value: %s", name, error)
            count = shown.statistics.samples
            evaluated += [Term(name, term, math.nan, str(error), count) for term in module.TITLES]
            continue
        samples = shown.statistics.samples
        evaluated += [Term(name, term, float(value), "", samples) for term, value in values.items()]
    return evaluated
