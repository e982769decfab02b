"""What a JSON schema cannot say of few-shot episodes: whether a data set has the classes and images for one.

Every mistake is one line that names the key. What the configuration does not tell of a data set the job sees.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from nctransfer.plan.catalogue import TORCHVISION


def check_episodes(where: str, panel: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    """A panel of few-shot episodes against its data set."""
    if panel["nc1_on"] is not None:
        yield f"{where}.nc1_on: is not read by kind 'few_shot', which measures all images of its data set"
    entry = config["datasets"].get(panel["dataset"])
    if entry is None:
        return  # other checks tell
    episodes, key = config["fewshot"], panel["dataset"]
    classes, images = _classes(entry), _images_a_class(entry)
    if classes is not None and classes < episodes["ways"]:
        yield (
            f"{where}.dataset: {key!r} has {classes} classes; an episode takes {episodes['ways']} "
            "(fewshot.ways)"
        )
    needed = max(episodes["shots"]) + episodes["queries"]
    if images is not None and images < needed:
        yield (
            f"{where}.dataset: {key!r} has {images} images a class (per_class, test_per_class); an episode "
            f"takes {needed} (the most of fewshot.shots, and fewshot.queries)"
        )


def _classes(entry: Mapping[str, Any]) -> int | None:
    """Their number, where the entry tells."""
    if entry["classes"]:
        return len(entry["classes"])
    if entry["source"] == "torchvision" and entry["name"] in TORCHVISION:
        return TORCHVISION[entry["name"]].classes
    return 10 if entry["source"] == "digits" else None


def _images_a_class(entry: Mapping[str, Any]) -> int | None:
    """Of both splits together, where the entry tells."""
    both = entry["per_class"], entry["test_per_class"]
    return None if None in both else sum(both)
