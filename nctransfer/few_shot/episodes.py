"""Episodes: a few classes, a few images of each to learn from and others to be tested on.

Everything in an episode follows from the seed and the episode's number: its classes, and of each class an
order of all its images, whose first are the query images and whose next the support images. So episodes of
one shot and of five have the same classes and query images, and the one is among the five.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nctransfer.errors import DegenerateInputError


@dataclass(frozen=True)
class Episode:
    """Rows of a feature matrix, class by class.

    Attributes:
        classes: the labels drawn, (ways,).
        support: rows to learn from, (ways, shots).
        query: rows to be tested on, (ways, queries).
    """

    classes: np.ndarray
    support: np.ndarray
    query: np.ndarray


@dataclass(frozen=True)
class Shape:
    """How large an episode is: classes, and images of each to learn from and to be tested on."""

    ways: int
    shots: int
    queries: int


def draw_episodes(labels: np.ndarray, shape: Shape, count: int, seed: int) -> Iterator[Episode]:
    """Draw episodes, without replacement within each.

    Args:
        labels: int64, (N,); classes without images take no part.
        shape: of every episode.
        count: of episodes.
        seed: of all draws.
    """
    pools = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    for number in range(count):
        random = np.random.default_rng([seed, number])
        classes = _shuffled(np.array(list(pools)), random)[: shape.ways]
        rows = np.stack(
            [_shuffled(pools[label], random)[: shape.queries + shape.shots] for label in classes.tolist()]
        )
        yield Episode(classes, support=rows[:, shape.queries :], query=rows[:, : shape.queries])


def _shuffled(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    # Sorting uniform numbers, not Generator.permutation: its algorithm may change with numpy.
    return values[np.argsort(random.random(len(values)), kind="stable")]


def require_enough(labels: np.ndarray, class_names: Sequence[str], shape: Shape) -> None:
    """Refuse images of which an episode cannot be drawn.

    Args:
        labels: int64, (N,).
        class_names: of all labels.
        shape: of the largest episode.

    Raises:
        DegenerateInputError: fewer classes than ways, or a class with fewer images than an episode takes;
            all such classes are named.
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < shape.ways:
        raise DegenerateInputError(
            f"few_shot.ways: {shape.ways} classes an episode, but there are {len(present)}"
        )
    needed = shape.shots + shape.queries
    short = [(int(label), int(count)) for label, count in zip(present, counts, strict=True) if count < needed]
    if short:
        named = ", ".join(f"{class_names[label]!r} has {count}" for label, count in short[:10])
        more = f" and {len(short) - 10} classes more" if len(short) > 10 else ""
        raise DegenerateInputError(
            f"few_shot: an episode takes {needed} images of a class ({shape.shots} shots, {shape.queries} "
            f"queries), but {named}{more}"
        )
