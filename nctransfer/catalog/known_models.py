"""Facts about pre-trained models that the plan needs without importing their libraries.

``known_models.csv`` is generated from the installed libraries by
``python -m nctransfer.models.write_known_models``. A job compares its row with the installed library
(``nctransfer.models.model_store``), so that an outdated row is noticed.
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
UNSUPPORTED = Path(__file__).with_name("unsupported_models.csv")
COLUMNS = (
    "source", "name", "weights", "unit_layout", "units", "poolings", "resize", "crop", "interpolation",
    "parameters", "multiply_adds", "activations", "unit_widths", "width", "fixed_size",
)  # fmt: skip


@dataclass(frozen=True)
class KnownModel:
    """One row of the table: a network with one set of weights."""

    # ``torchvision``, ``timm``, ``open_clip``; ``cifar``, ``few_shot`` and ``small`` are architectures of
    # this project, without published weights
    source: str
    name: str  # as in the configuration
    weights: str  # torchvision's entry or open_clip's tag; empty for timm, whose names contain the tag
    unit_layout: str  # module of ``nctransfer.models.unit_layouts``
    units: int  # their number, L
    poolings: tuple[str, ...]  # poolings that suit the units' outputs; the first is the default
    # of the library's evaluation transform: the shorter side, or height and width if the aspect ratio is not
    # kept; None if no geometry expresses it
    resize: int | tuple[int, int] | None
    size: tuple[int, int]  # height and width of the input
    interpolation: Literal["bilinear", "bicubic"]  # ``bilinear`` or ``bicubic``
    parameters: float  # their number in millions, for the whole network with the head of its weights
    multiply_adds: float  # of the forward pass of one image of ``size``, in billions (half the FLOP)
    activations: float  # kept by that pass for a backward pass, in MB of float32 per image
    unit_widths: int  # sum of the widths of stem and units, for one pooling
    width: int  # width of the penultimate feature
    fixed_size: bool  # whether the network takes images of ``size`` only, unless its options say another size

    def native(self) -> Geometry:
        """Geometry of ``preprocess: native``: the library's own evaluation transform.

        Raises:
            ConfigError: that transform scales the longer side, or its images are not square.
        """
        if self.resize is None:
            raise ConfigError(
                f"{self.source}/{self.name}: `preprocess: native` is not possible, the library's transform "
                "scales the longer side or is not square; set `preprocess: paper`"
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
        fixed_size=row["fixed_size"] == "yes",
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
    """Unparsed rows by source and name; the first row of a name has its default weights."""
    table: dict[str, dict[str, list[dict[str, str]]]] = {}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            table.setdefault(row["source"], {}).setdefault(row["name"], []).append(row)
    return table


@lru_cache(maxsize=1)
def _unsupported() -> dict[tuple[str, str], str]:
    """Why a name, or ``name/weights``, of a library is not in the table, by source and name."""
    with UNSUPPORTED.open(newline="") as file:
        return {(row["source"], row["name"]): row["reason"] for row in csv.DictReader(file)}


def refuse_unsupported(source: str, name: str) -> None:
    """Raise ConfigError for a name that its library has, but that is not supported, with the reason."""
    plain = name.partition(".")[0] if source == "timm" else name
    if reason := _unsupported().get((source, plain)):
        raise ConfigError(
            f"{source}/{name} exists in {source}, but is not supported: {reason}; supported: the "
            f"{len(names(source))} names of {source} in nctransfer/catalog/{TABLE.name}"
        )


def sources() -> list[str]:
    """Sources of the models in the table."""
    return sorted(_rows())


def names(source: str) -> list[str]:
    """Names of a source's models."""
    return sorted(_rows().get(source, {}))


def lookup(source: str, name: str, weights: str | None = None) -> KnownModel:
    """The row of a model, by default with its default weights.

    A timm name without a tag means timm's default tag, as in timm itself.

    Raises:
        ConfigError: unknown source, name or weights (with the closest match), or an open_clip model with
            several weights of which none is named. A name that the library has, but that is not supported, is
            answered with the reason.
    """
    table = _rows()
    if source not in table:
        raise ConfigError(
            f"no models of source {source!r}{suggestion(source, table)}; {', '.join(sorted(table))}"
        )
    models = table[source]
    rows = models.get(str(name)) or (_timm_default(models, str(name)) if source == "timm" else None)
    if not rows:
        refuse_unsupported(source, str(name))
        raise ConfigError(
            f"no pre-trained model {name!r} of {source} is known{_close(str(name), weights, models)}"
        )
    available = [row["weights"] for row in rows]
    if not weights:
        if source == "open_clip" and len(rows) > 1:
            raise ConfigError(f"open_clip/{name}: `weights` must name one of: {', '.join(available)}")
        return _parse(rows[0])
    for row in rows:
        if row["weights"] == weights:
            return _parse(row)
    refuse_unsupported(source, f"{name}/{weights}")
    if source == "open_clip" and weights in _tags(models, f"{name}-quickgelu"):
        raise ConfigError(
            f"open_clip/{name}: weights {weights!r} were trained with QuickGELU; set `name: {name}-quickgelu`"
        )
    hint = "" if any(available) else " (its weights are part of its name: leave `weights` out)"
    raise ConfigError(
        f"{source}/{name} has no weights {weights!r}{suggestion(weights, available)}{hint}"
        + (f"; there are: {', '.join(available)}" if any(available) else "")
    )


def lookup_architecture(architecture: str) -> KnownModel:
    """The row of ``library/name``, which is how ``source: local`` and pre-training name their networks.

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
    """The rows of an architecture's default tag, which is the first one in timm's order."""
    return next((rows for full, rows in models.items() if full.partition(".")[0] == name), None)


def _close(name: str, weights: str | None, models: Mapping[str, list[dict[str, str]]]) -> str:
    if weights in _tags(models, f"{name}-quickgelu"):
        return f" with GELU for weights {weights!r}; set `name: {name}-quickgelu`"
    return suggestion(name, [*models, *{full.partition(".")[0] for full in models}])
