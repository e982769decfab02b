"""Episodes: a few classes, each with a few images for training and others for testing.

An episode follows from the seed and its number: its classes, and for each class an order of all its images,
of which the first are the query images and the next the support images. So episodes with one shot and with
five have the same classes and query images, and the single shot is among the five.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nctransfer.errors import DegenerateInputError


@dataclass(frozen=True)
class Episode:
    """Classes (ways,), and rows of their support (ways, shots) and query images (ways, queries)."""

    classes: np.ndarray
    support: np.ndarray
    query: np.ndarray


@dataclass(frozen=True)
class Shape:
    """Size of an episode: number of classes, and of support and query images of each."""

    ways: int
    shots: int
    queries: int


def draw_episodes(labels: np.ndarray, shape: Shape, count: int, seed: int) -> Iterator[Episode]:
    """Draw ``count`` episodes from labels int64 (N,), without replacement within each."""
    pools = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    for number in range(count):
        random = np.random.default_rng([seed, number])
        classes = _shuffled(np.array(list(pools)), random)[: shape.ways]
        images = shape.queries + shape.shots
        rows = np.stack([_shuffled(pools[label], random)[:images] for label in classes.tolist()])
        yield Episode(classes, support=rows[:, shape.queries :], query=rows[:, : shape.queries])


def _shuffled(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    # sorts uniform numbers, because the algorithm of Generator.permutation may change with numpy
    return values[np.argsort(random.random(len(values)), kind="stable")]


def require_enough(labels: np.ndarray, class_names: Sequence[str], shape: Shape) -> None:
    """DegenerateInputError, naming all classes too small, for data too small for an episode of a shape."""
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < shape.ways:
        raise DegenerateInputError(
            f"few_shot.ways: {shape.ways} classes per episode, but there are {len(present)}"
        )
    needed = shape.shots + shape.queries
    short = [(int(label), int(count)) for label, count in zip(present, counts, strict=True) if count < needed]
    if short:
        counts_by_class = ", ".join(f"{class_names[label]!r} has {count}" for label, count in short[:10])
        more = f" and {len(short) - 10} more classes" if len(short) > 10 else ""
        raise DegenerateInputError(
            f"few_shot: an episode takes {needed} images per class ({shape.shots} shots, {shape.queries} "
            f"queries), but {counts_by_class}{more}"
        )
