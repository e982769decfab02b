"""Claims, and what is told to the job that judges them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from nctransfer.settings import Count, Name, Settings

Direction = Literal["below", "above", "at_most", "at_least", "within"]
Value = bool | int | float | str
# By column the value that rows must have, one of several, or `lowest` or `highest`: the rows at that end.
Selection = dict[str, Value | tuple[Value, ...]]


class PublishedSettings(Settings):
    """The published numbers: a `table`, of which a `column` may be read, or a `text`."""

    table: str | None = None
    """Path of a CSV file, relative to the file of claims."""
    column: str | None = None
    """Column of it that holds the statistic itself, one row per part."""
    text: str | None = None
    """What the source says."""


class ClaimSettings(Settings):
    """One row of the scorecard."""

    claim: Count
    """Number of the claim; several rows may test one."""
    statement: Name
    """What is claimed."""
    where: Annotated[tuple[str, ...], Field(min_length=1)]
    """Keys of figures or tables whose numbers are read."""
    only: Selection = {}
    """Values that columns must have, one or a list."""
    above: dict[str, float] = {}
    """Numbers that columns must exceed."""
    against: str | None = None
    """Key of a figure or table whose columns are laid beside, named `<column>_against`."""
    statistic: str
    """What is computed; a variant of `nctransfer.reporting.scorecard.statistics`."""
    options: dict[str, Any] = {}
    """What the statistic reads."""
    effect: Name
    """What its number is, in words."""
    direction: Direction
    """How the statistic must lie to the threshold."""
    threshold: float | tuple[float, float]
    """A number, or for `within` two."""
    share: Annotated[float, Field(gt=0, le=1)] = 1
    """Share of the parts in which it must hold."""
    points: Count = 1
    """Fewest observations in a part."""
    published: PublishedSettings | None = None
    """The published numbers: a `table` (CSV beside the file of claims) on which the statistic is computed, or
    of which a `column` is read; or a `text`."""
    source: Name
    """Where it is claimed."""


class JudgedClaimSettings(ClaimSettings):
    """A claim with the name of its row."""

    row: str
    """Number of the claim, with a letter where several rows test one."""


class ScorecardJobSettings(Settings):
    """What the job is told that judges the claims."""

    claims: tuple[JudgedClaimSettings, ...]
    """In order."""
    pictures: tuple[str, ...]
    """Keys of the figures and tables that they read."""
    published: dict[str, str]
    """Name of the input that holds the published numbers of a table."""
    set_ups: dict[str, str]
    """Whose set-up every figure and table is of."""
    study: str | None
    """Of the configuration."""
    paper: str
    """What a picture of the paper's set-up is called."""


# --- options that several statistics have -------------------------------------------------------


class PointsSettings(Settings):
    """Two columns, which give the points of a part."""

    x: str
    """Column of the abscissas."""
    y: str
    """Column of the ordinates."""


class PlacesSettings(Settings):
    """A quantity by place."""

    place: str
    """Column of the places, such as units."""
    value: str
    """Column of the quantity."""


class DifferenceSettings(Settings):
    """A quantity under two selections."""

    value: str
    """Column of the quantity."""
    of: Selection
    """Rows that it is taken of."""
    minus: Selection
    """Rows that are subtracted."""


class PairsSettings(DifferenceSettings):
    """A quantity under two selections, at places that both have."""

    over: tuple[str, ...]
    """Columns that make a place."""
