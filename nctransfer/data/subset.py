"""Seeded choices of rows: train/test splits, class subsets, so many images a class or in all.

Within a class, rows are ordered by random numbers that depend on the seed and the
class's original index alone. So a subset of 10 a class lies inside that of 100 with the
same seed, and leaving out other classes does not change it. Where classes do not count,
each row has a random number that depends on the seed and its place in the split alone: a
subset of 100 images lies inside that of 1000, and among fewer classes the order is the same.
"""

from collections.abc import Sequence

import numpy as np

from nctransfer.errors import DataError
from nctransfer.suggestions import suggestion

ALL_CLASSES = 1 << 32  # stands for a class's index in the draw from all of them; beyond every index


def shuffled_rows(labels: np.ndarray, label: int, seed: int) -> np.ndarray:
    """Rows of one class, shape (n,), in an order that seed and class determine."""
    rows = np.flatnonzero(labels == label)
    # Sorting uniform numbers, not Generator.permutation: its algorithm may change with numpy.
    return rows[np.argsort(np.random.default_rng([seed, label]).random(len(rows)), kind="stable")]


def split_by_fraction(
    labels: np.ndarray, classes: int, test_fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows so that each class gives the same share to the test split.

    Args:
        labels: int64, shape (N,).
        classes: number of classes K.
        test_fraction: share of each class to test on, in (0, 1); rounded, and at least
            one image on either side for a class with two or more.
        seed: of the draw.

    Returns:
        rows of the training split and of the test split, each ascending.
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
    """Split rows into so many a class to train on and so many (None: the rest) to test on.

    Returns:
        rows of the training split and of the test split, each ascending.

    Raises:
        DataError: a class is too small.
    """
    chosen: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label, name in enumerate(class_names):
        rows = shuffled_rows(labels, label, seed)
        needed = train + (1 if test is None else test)
        if len(rows) < needed:
            raise DataError(f"class {name!r} has {len(rows)} images; its split needs at least {needed}")
        chosen[0].append(rows[:train])
        chosen[1].append(rows[train:] if test is None else rows[train : train + test])
    return np.sort(np.concatenate(chosen[0])), np.sort(np.concatenate(chosen[1]))


def class_indices(classes: Sequence[str | int] | None, class_names: Sequence[str]) -> list[int]:
    """Original indices of the chosen classes, in the order given; all where ``classes`` is None.

    Raises:
        DataError: a name or index is unknown or stands twice.
    """
    if classes is None:
        return list(range(len(class_names)))
    chosen: list[int] = []
    for entry in classes:
        if isinstance(entry, str) and entry in class_names:
            index = list(class_names).index(entry)
        elif isinstance(entry, int) and not isinstance(entry, bool) and 0 <= entry < len(class_names):
            index = entry
        else:
            names = ", ".join(class_names[:10]) + (", ..." if len(class_names) > 10 else "")
            raise DataError(
                f"classes: no class {entry!r}{suggestion(str(entry), class_names)}; there are "
                f"{len(class_names)}, by name or by index from 0: {names}"
            )
        if index in chosen:
            raise DataError(f"classes: {entry!r} stands more than once")
        chosen.append(index)
    return chosen


def draw_rows(
    labels: np.ndarray, chosen: Sequence[int], count: int | None, validation: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw ``count`` rows of the chosen classes (all where None), and hold some of these out.

    Args:
        labels: int64, shape (N,).
        chosen: classes that take part.
        count: rows to draw, whatever their class, without replacement.
        validation: how many of the rows drawn are held out: those drawn last.
        seed: of the draw.

    Returns:
        rows to train on and rows held out, each ascending.

    Raises:
        DataError: fewer rows than asked, or none left to train on.
    """
    rows = np.flatnonzero(np.isin(labels, chosen))
    if count is None and not validation:
        return rows, rows[:0]
    wanted = len(rows) if count is None else count
    if len(rows) < wanted:
        raise DataError(f"count: {count} images asked; the training split has {len(rows)} of these classes")
    if validation >= wanted:
        raise DataError(f"validation: {validation} of {wanted} images to train on leave none of them")
    numbers = np.random.default_rng([seed, ALL_CLASSES]).random(len(labels))
    drawn = rows[np.argsort(numbers[rows], kind="stable")][:wanted]
    kept = wanted - validation
    return np.sort(drawn[:kept]), np.sort(drawn[kept:])


def subset_rows(
    labels: np.ndarray,
    class_names: Sequence[str],
    chosen: Sequence[int],
    per_class: int | None,
    seed: int,
    among: np.ndarray | None = None,
) -> np.ndarray:
    """Rows of the chosen classes, ``per_class`` of each (all where None), ascending.

    Args:
        labels: int64, shape (N,).
        class_names: of all classes.
        chosen: classes that take part.
        per_class: rows of each.
        seed: of the draw.
        among: rows that may be taken (None: all).

    Raises:
        DataError: a class has fewer images than asked; all such classes are named.
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
        named = ", ".join(f"{class_names[label]!r} has {len(rows[label])}" for label in short[:10])
        more = f" and {len(short) - 10} classes more" if len(short) > 10 else ""
        raise DataError(f"per_class: {per_class} images of each class asked, but {named}{more}")
    return np.sort(np.concatenate([rows[label][:per_class] for label in chosen]))
