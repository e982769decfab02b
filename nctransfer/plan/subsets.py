"""Which images of a data set are used: the keys that every entry of ``datasets:`` may have.

``classes`` keeps some classes. Of the training split, ``per_class`` takes so many images of each
class and ``count`` so many whatever their class; ``validation`` holds so many of its images out
to be tested on, for the choice of hyper-parameters. ``test_per_class`` takes so many of each
class of the test split.

Standard library only: the Snakefile reads this.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Problem = tuple[tuple[str, ...], str]

NUMBERS = ("per_class", "test_per_class", "count", "validation")
OPTIONS = ("classes", *NUMBERS, "seed")

# How each number is written into the keys of views and image stores.
_IN_KEY = {"per_class": "{}pc", "test_per_class": "test{}pc", "count": "{}n", "validation": "val{}"}


def subset_key(dataset: str, entry: Mapping[str, Any]) -> str:
    """Name a data set's images: ``cifar10``, ``cifar10.100pc``, ``vtab-dtd.1000n.val200``."""
    return ".".join([dataset, *(form.format(entry[key]) for key, form in _IN_KEY.items() if entry.get(key))])


def subset_settings(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What a data set's entry says of its images, as plain JSON values; null where it says nothing."""
    return {key: entry.get(key) for key in OPTIONS} | {"seed": entry.get("seed", 0)}


def draw_name(dataset: str, entry: Mapping[str, Any]) -> str:
    """Name the draw of a data set's images, from which its seed follows.

    Draws by ``count`` and ``validation`` are alike for all entries of a study: two entries of one
    source, one of them with ``validation``, share their images, so that hyper-parameters chosen on
    ``count: 1000, validation: 200`` are chosen on the very images of ``count: 1000``.
    """
    return "drawn" if entry.get("count") or entry.get("validation") else dataset


def subset_problems(entry: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what a JSON schema cannot say about these keys; values of a wrong type are left to it."""
    numbers = {key: entry[key] for key in NUMBERS if _is_number(entry.get(key))}
    for key, number in numbers.items():
        if number < 1:
            yield (key,), f"{number} is not a positive number of images"
    if "count" in numbers and "per_class" in numbers:
        yield ("count",), "excludes per_class: either so many images of all classes, or so many of each"
    if "validation" in numbers and "test_per_class" in numbers:
        yield ("test_per_class",), "has no meaning beside validation, which leaves the test split untouched"
    if "validation" in numbers and "count" in numbers and numbers["validation"] >= numbers["count"] > 0:
        yield (
            ("validation",),
            f"{numbers['validation']} of {numbers['count']} images (count) leave none to train on; "
            f"it must be less than {numbers['count']}",
        )
    classes = entry.get("classes")
    if isinstance(classes, list):
        for index, name in enumerate(classes):
            if name in classes[:index]:
                yield ("classes", str(index)), f"class {name!r} stands more than once"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
