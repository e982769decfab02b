"""Seeded selection of rows: train/test splits, class subsets, a number of images per class or in total.

Within a class, rows are ordered by random numbers that depend only on the seed and the original index of the
class. So with the same seed, a subset of 10 images per class is contained in that of 100, and leaving out
other classes does not change it. For a total number of images, each row has a random number that depends only
on the seed and its place in the split: a subset of 100 images is contained in that of 1000, and with fewer
classes the order stays the same.
"""

from collections.abc import Sequence

import numpy as np

from nctransfer.errors import DataError

ALL_CLASSES = 1 << 32  # replaces the class index in a draw from all classes; larger than any index


def shuffled_rows(labels: np.ndarray, label: int, seed: int) -> np.ndarray:
    """Rows of one class, shape (n,), in an order that seed and class determine."""
    rows = np.flatnonzero(labels == label)
    # sorts uniform numbers, because the algorithm of Generator.permutation may change with numpy
    return rows[np.argsort(np.random.default_rng([seed, label]).random(len(rows)), kind="stable")]


def split_by_fraction(
    labels: np.ndarray, classes: int, test_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows so that each of the K classes has the same share in the test split.

    The share of each class, in (0, 1), is rounded, with at least one image on either side for a class with
    two or more. Returns rows of the training split and of the test split, each ascending.
    """
    train, test = [], []
    for label in range(classes):
        rows = shuffled_rows(labels, label, seed)
        held_out = min(max(round(len(rows) * test_fraction), 1), max(len(rows) - 1, 0))
        test.append(rows[:held_out])
        train.append(rows[held_out:])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def split_by_count(
    labels: np.ndarray, class_names: Sequence[str], train: int, test: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ascending rows of ``train`` and ``test`` (None: the rest) a class; DataError: a class is too small."""
    splits: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label, name in enumerate(class_names):
        rows = shuffled_rows(labels, label, seed)
        needed = train + (1 if test is None else test)
        if len(rows) < needed:
            raise DataError(f"class {name!r} has {len(rows)} images; its split needs at least {needed}")
        splits[0].append(rows[:train])
        splits[1].append(rows[train:] if test is None else rows[train : train + test])
    return np.sort(np.concatenate(splits[0])), np.sort(np.concatenate(splits[1]))


def draw_rows(
    labels: np.ndarray, chosen: Sequence[int], count: int | None, validation: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``count`` rows of the chosen classes (None: all) without replacement; hold out those drawn last.

    Returns rows for training and ``validation`` rows held out, each ascending. DataError where there are
    fewer rows than ``count``, or none left for training.
    """
    rows = np.flatnonzero(np.isin(labels, chosen))
    if count is None and not validation:
        return rows, rows[:0]
    total = len(rows) if count is None else count
    if len(rows) < total:
        raise DataError(
            f"count: {count} images requested; the training split has {len(rows)} of these classes"
        )
    if validation >= total:
        raise DataError(f"validation: {validation} of {total} images leave none to train on")
    numbers = np.random.default_rng([seed, ALL_CLASSES]).random(len(labels))
    drawn = rows[np.argsort(numbers[rows], kind="stable")][:total]
    trained = total - validation
    return np.sort(drawn[:trained]), np.sort(drawn[trained:])


def subset_rows(
    labels: np.ndarray,
    class_names: Sequence[str],
    chosen: Sequence[int],
    per_class: int | None,
    seed: int,
    among: np.ndarray | None = None,
) -> np.ndarray:
    """Rows of the chosen classes, ``per_class`` of each (None: all), ascending; only from ``among``, if set.

    DataError names all classes that have fewer images.
    """
    if among is not None:
        allowed = np.full(len(labels), -1, np.int64)
        allowed[among] = labels[among]
        labels = allowed
    if per_class is None:
        return np.flatnonzero(np.isin(labels, chosen))
    rows = {label: shuffled_rows(labels, label, seed) for label in chosen}
    short = [label for label in chosen if len(rows[label]) < per_class]
    if short:
        counts = ", ".join(f"{class_names[label]!r} has {len(rows[label])}" for label in short[:10])
        more = f" and {len(short) - 10} more classes" if len(short) > 10 else ""
        raise DataError(f"per_class: {per_class} images per class requested, but {counts}{more}")
    return np.sort(np.concatenate([rows[label][:per_class] for label in chosen]))
