"""Random problems that scores are tested on, and what scores give on them."""

from functools import cache

import numpy as np

from nctransfer import variants
from nctransfer.transferability import scores
from nctransfer.transferability.problem import Problem

SCORES = variants.names(scores)
SEED = 3  # of mixtures and shuffles


def module(score):
    return variants.load(scores, score)


def pooled(score, terms):
    """Scores of a pool, the sums of what each term adds."""
    return {name: sum(added.values()) for name, added in module(score).summands(terms).items()}


# ---------------------------------------------------------------- problems


def draw(seed, counts, width, *, scale=0.5, noise=1.0, offset=0.0, dtype=np.float64, names=None):
    """Gaussian classes with correlated noise, rows in random order, and logits of 7 source classes.

    Source class 2 has no mass. Features, labels, logits.
    """
    rng = np.random.default_rng(seed)
    names = np.arange(len(counts)) if names is None else np.array(names)
    labels = rng.permutation(np.repeat(names, counts))
    means = rng.normal(size=(names.max() + 1, width))
    mixing = rng.normal(size=(width, width)) / np.sqrt(width)
    spread = rng.normal(size=(len(labels), width)) @ mixing
    logits = 2 * rng.normal(size=(names.max() + 1, 7))[labels] + 1.5 * rng.normal(size=(len(labels), 7))
    logits[:, 2] = -2000.0
    features = scale * (means[labels] + noise * spread) + offset
    return features.astype(dtype), labels, logits.astype(dtype)


PROBLEMS = {
    "balanced": draw(0, [16] * 5, 12, noise=2.0),
    # NCTI does not shrink: its variances sum to more than 23
    "imbalanced-large": draw(1, [3, 40, 17, 8], 10, scale=3.0, noise=2.0),
    "more-classes-than-dims": draw(2, [6] * 14, 5),
    "fewer-samples-than-dims": draw(3, [5, 6, 4, 9, 6], 50, scale=0.2, noise=2.0),
    # SFDA and NCTI shrink a lot
    "small": draw(8, [20] * 4, 6, scale=0.25, noise=3.0),
    # NCTI and GBC see 64 components, PARC 32
    "wide": draw(4, [30, 25, 24, 16], 80, scale=0.15, noise=2.0),
    "float32": draw(5, [30, 10, 20], 16, noise=2.5, dtype=np.float32),
    "absent-class": draw(6, [25, 15, 20], 9, noise=3.0, names=[0, 1, 3]),
    "offset": draw(7, [20, 30, 25], 8, noise=3.0, offset=1000.0),
}


def terms(score, features, labels, logits=None, classes=None):
    return module(score).terms(Problem.of(features, labels, logits, classes=classes, seed=SEED))


@cache
def measured(name, score):
    features, labels, logits = PROBLEMS[name]
    return terms(score, features, labels, logits, classes=int(labels.max()) + 1)
