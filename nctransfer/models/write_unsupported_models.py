"""Writes ``nctransfer/catalog/unsupported_models.csv``: names that a library has, but this project not.

    python -m nctransfer.models.write_unsupported_models

To be run after ``nctransfer.models.write_known_models``, whose table it completes: so a name that exists is
never taken for a misspelt one.
"""

import csv
import json
import warnings
from collections.abc import Iterator

import open_clip
import timm
from timm.models import _registry as timm_registry
from torchvision import models as torchvision_models

from nctransfer.catalog import known_models
from nctransfer.errors import ModelError
from nctransfer.models.architecture import Architecture
from nctransfer.models.architectures.torchvision import not_a_classifier
from nctransfer.models.checkpoint import first_line
from nctransfer.models.sources.open_clip import check_activation
from nctransfer.models.write_known_models import FALLBACK, SKIPPED, described
from nctransfer.storage.files import atomic_path

NO_WEIGHTS = "the library publishes no weights of it"


def rows() -> Iterator[tuple[str, str, str]]:
    """Source, name (or ``name/weights``) and reason of all that is not in the table of known models."""
    known = {name.partition(".")[0] for name in known_models.names("timm")}
    renamed = timm_registry._deprecated_models
    for name in sorted({*timm.list_models(), *renamed} - known):
        if new := renamed.get(name):
            yield "timm", name, f"its name is now {new}"
        else:
            yield "timm", name, why_not("timm", name) if timm.list_pretrained(f"{name}.*") else NO_WEIGHTS
    for name in sorted({*torchvision_models.list_models()} - {*known_models.names("torchvision")}):
        yield "torchvision", name, not_a_classifier(name)
    for source, name, weights in sorted(SKIPPED):
        yield source, f"{name}/{weights}", "weights without a classifier"
    for name in sorted({*open_clip.list_models()} - {*known_models.names("open_clip")}):
        yield "open_clip", name, _of_open_clip(name)


def _of_open_clip(name: str) -> str:
    tags = open_clip.list_pretrained_tags_by_model(name)
    try:
        for tag in tags:
            check_activation(name, tag)
    except ModelError as error:
        return first_line(error).partition(": ")[2]
    return why_not("open_clip", name) if tags else NO_WEIGHTS


def why_not(source: str, name: str) -> str:
    """Why the units of a network cannot be read; AssertionError where they can."""
    try:
        metadata = Architecture(source, name).metadata()
        described((source, name, json.dumps(dict(metadata.options)), metadata.size), FALLBACK)
    except Exception as error:  # whatever the library raises
        return f"its units cannot be read ({first_line(error).partition(';')[0]})"
    raise AssertionError(f"{source}/{name} is supported: run nctransfer.models.write_known_models first")


def main() -> None:
    """Write the table."""
    warnings.simplefilter("ignore")
    with atomic_path(known_models.UNSUPPORTED) as partial, partial.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("source", "name", "reason"), *rows()])


if __name__ == "__main__":
    main()
