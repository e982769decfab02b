"""What the plan must know about pre-trained models without importing their libraries.

``known_models.csv`` is generated from the installed libraries by
``python -m nctransfer.models.write_known_models``. A job compares it with the library that it
finds (``nctransfer.models.model_store``), so that an outdated row cannot go unnoticed.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from nctransfer.data.settings import Geometry
from nctransfer.errors import ConfigError
from nctransfer.suggestions import suggestion

TABLE = Path(__file__).with_name("known_models.csv")
COLUMNS = (
    "source", "name", "weights", "unit_layout", "units", "poolings", "resize", "crop", "interpolation",
    "parameters", "multiply_adds", "activations", "unit_widths", "width",
)  # fmt: skip


@dataclass(frozen=True)
class KnownModel:
    """One row of the table: a network with one set of weights.

    Attributes:
        source: ``torchvision``, ``timm``, ``open_clip``; ``cifar``, ``few_shot`` and ``small`` are
            architectures of this project, without published weights.
        name: as in the configuration.
        weights: torchvision's entry, open_clip's tag; empty for timm, whose names hold the tag.
        unit_layout: module of ``nctransfer.models.unit_layouts``.
        units: their number, L.
        poolings: what the units' outputs allow; the first is the default.
        resize: of the library's evaluation transform: the shorter side, or height and width
            where the aspect ratio is not kept; None where no geometry expresses it.
        size: height and width of the input.
        interpolation: ``bilinear`` or ``bicubic``.
        parameters: their number in millions, of the whole network with the head of its weights.
        multiply_adds: of the forward pass of one image of ``size``, in billions (half its FLOP).
        activations: what that pass keeps for a backward pass, in MB of float32 an image.
        unit_widths: sum of the widths of stem and units, of one pooling.
        width: of the penultimate feature.
    """

    source: str
    name: str
    weights: str
    unit_layout: str
    units: int
    poolings: tuple[str, ...]
    resize: int | tuple[int, int] | None
    size: tuple[int, int]
    interpolation: Literal["bilinear", "bicubic"]
    parameters: float
    multiply_adds: float
    activations: float
    unit_widths: int
    width: int

    def native(self) -> Geometry:
        """Geometry of ``preprocess: native``: the library's own evaluation transform.

        Raises:
            ConfigError: that transform fits the longer side, or its images are not square.
        """
        if self.resize is None:
            raise ConfigError(
                f"{self.source}/{self.name}: `preprocess: native` is not possible, the library's transform "
                "fits the longer side or is not square; set `preprocess: paper`"
            )
        squashed = isinstance(self.resize, tuple)
        # On tensors torchvision's transforms resize in float32; timm and open_clip use PIL.
        return Geometry(
            resize=self.resize,
            crop=None if squashed and self.resize == self.size else self.size[0],
            interpolation=self.interpolation,
            rounding="once" if self.source == "torchvision" else "each pass",
        )


def _parse(row: Mapping[str, str]) -> KnownModel:
    return KnownModel(
        source=row["source"],
        name=row["name"],
        weights=row["weights"],
        unit_layout=row["unit_layout"],
        units=int(row["units"]),
        poolings=tuple(row["poolings"].split()),
        resize=_sides(row["resize"]),
        size=_square(_sides(row["crop"])),
        interpolation="bicubic" if row["interpolation"] == "bicubic" else "bilinear",
        parameters=float(row["parameters"]),
        multiply_adds=float(row["multiply_adds"]),
        activations=float(row["activations"]),
        unit_widths=int(row["unit_widths"]),
        width=int(row["width"]),
    )


def _sides(text: str) -> int | tuple[int, int] | None:
    if "x" in text:
        height, width = text.split("x")
        return int(height), int(width)
    return int(text) if text else None


def _square(sides: int | tuple[int, int] | None) -> tuple[int, int]:
    return sides if isinstance(sides, tuple) else (sides or 0, sides or 0)


@lru_cache(maxsize=1)
def _rows() -> dict[str, dict[str, list[dict[str, str]]]]:
    """Unparsed rows by source and name; the first of a name holds its default weights."""
    table: dict[str, dict[str, list[dict[str, str]]]] = {}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["source"], {}).setdefault(row["name"], []).append(row)
    return table


def sources() -> list[str]:
    """Sources that the table has models of."""
    return sorted(_rows())


def names(source: str) -> list[str]:
    """Names of a source's models."""
    return sorted(_rows().get(source, {}))


def lookup(source: str, name: str, weights: str | None = None) -> KnownModel:
    """The row of a model; without weights that of its default ones.

    A timm name without its tag means timm's default tag, as in timm itself.

    Raises:
        ConfigError: unknown source, name or weights (with the closest match), or an
            open_clip model whose weights are not named although there are several.
    """
    table = _rows()
    if source not in table:
        raise ConfigError(
            f"no models of source {source!r}{suggestion(source, table)}; {', '.join(sorted(table))}"
        )
    models = table[source]
    rows = models.get(str(name)) or (_timm_default(models, str(name)) if source == "timm" else None)
    if not rows:
        raise ConfigError(
            f"no pre-trained model {name!r} of {source} is known{_close(str(name), weights, models)}"
        )
    known = [row["weights"] for row in rows]
    if not weights:
        if source == "open_clip" and len(rows) > 1:
            raise ConfigError(f"open_clip/{name}: `weights` must name one of: {', '.join(known)}")
        return _parse(rows[0])
    for row in rows:
        if row["weights"] == weights:
            return _parse(row)
    if source == "open_clip" and weights in _tags(models, f"{name}-quickgelu"):
        raise ConfigError(
            f"open_clip/{name}: weights {weights!r} were trained with QuickGELU; set `name: {name}-quickgelu`"
        )
    hint = "" if any(known) else " (its weights are part of its name: leave `weights` out)"
    raise ConfigError(
        f"{source}/{name} has no weights {weights!r}{suggestion(weights, known)}{hint}"
        + (f"; there are: {', '.join(known)}" if any(known) else "")
    )


def lookup_architecture(architecture: str) -> KnownModel:
    """The row of ``library/name``, as ``source: local`` and pre-training name their networks.

    Raises:
        ConfigError: unknown library or name.
    """
    library, slash, name = str(architecture).partition("/")
    if not slash or library not in _rows():
        raise ConfigError(
            f"architecture {architecture!r}: expected library/name, the library one of {', '.join(sources())}"
            f"{suggestion(library, sources())}"
        )
    if library == "open_clip" and name in _rows()[library]:
        return _parse(_rows()[library][name][0])
    return lookup(library, name)


def _tags(models: Mapping[str, list[dict[str, str]]], name: str) -> list[str]:
    return [row["weights"] for row in models.get(name, [])]


def _timm_default(models: Mapping[str, list[dict[str, str]]], name: str) -> list[dict[str, str]] | None:
    """The first row with this architecture: the table keeps timm's order, default tag first."""
    return next((rows for known, rows in models.items() if known.partition(".")[0] == name), None)


def _close(name: str, weights: str | None, models: Mapping[str, list[dict[str, str]]]) -> str:
    if weights in _tags(models, f"{name}-quickgelu"):
        return f" with GELU for weights {weights!r}; set `name: {name}-quickgelu`"
    return suggestion(name, [*models, *{known.partition(".")[0] for known in models}])
