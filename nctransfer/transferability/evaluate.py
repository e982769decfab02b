"""All scores of the features of one model."""

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
    """A number computed by a score, or the reason why it is undefined."""

    score: str  # module of the score
    name: str  # of the number; if the module failed, one term for each of its scores
    value: float  # NaN if undefined
    reason: str  # why it is undefined, else empty
    samples: int  # number of samples used


def needs_head(module: ModuleType) -> bool:
    """Whether a score reads the logits of the source classifier, so that it does not apply to units."""
    return bool(getattr(module, "NEEDS_HEAD", False))


def evaluate(problem: Problem, scores: Mapping[str, ModuleType], settings: ScoringSettings) -> list[Term]:
    """Every term of every score (modules by name), in the order of the scores.

    The settings limit the samples of a score whose module names its limit in ``LIMIT``. A score that is
    undefined for these features has the reason in its terms.
    """
    evaluated = []
    limits = {
        "samples": settings.samples,
        "pair_samples": settings.pair_samples,
        "mixture_samples": settings.mixture_samples,
    }
    for name, module in scores.items():
        limited = problem
        try:
            if hasattr(module, "LIMIT"):
                limited = replace(problem, logits=problem.logits if needs_head(module) else None)
                limited = limited.subsample(limits[module.LIMIT])
            values = module.terms(limited)
            for term, value in values.items():
                if not math.isfinite(value):
                    raise DegenerateInputError(f"{limited.name}: {term} is {value}")
        except DegenerateInputError as error:
            logger.info("%s has no value: %s", name, error)
            count = limited.statistics.samples
            evaluated += [Term(name, term, math.nan, str(error), count) for term in module.TITLES]
            continue
        samples = limited.statistics.samples
        evaluated += [Term(name, term, float(value), "", samples) for term, value in values.items()]
    return evaluated
