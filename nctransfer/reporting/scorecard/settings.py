"""Claims, and the settings of the job that judges them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from nctransfer.settings import Count, Name, Settings

Direction = Literal["below", "above", "at_most", "at_least", "within"]
Value = bool | int | float | str
# By column the value of the rows, one of several, or `lowest` or `highest`: the rows with that extreme value.
Selection = dict[str, Value | tuple[Value, ...]]


class PublishedSettings(Settings):
    """The published numbers: a `table`, possibly one `column` of it, or a `text`."""

    table: str | None = None
    """Path of a CSV file, relative to the file of claims."""
    column: str | None = None
    """Column of the table that contains the statistic itself, one row per part."""
    text: str | None = None
    """What the source says."""


class ExpectedSettings(Settings):
    """The world that the paper describes, in the statistic's own terms."""

    effect: float
    """The statistic's number."""
    spread: float = 1
    """Its standard deviation between parts or seeds, as the statistic's `simulate` says."""
    origin: Literal["printed", "ticks", "words"]
    """Printed by the paper, read from the ticks of a figure, or our reading of its words."""


class ClaimSettings(Settings):
    """One row of the scorecard."""

    claim: Count
    """Number of the claim; several rows may test one claim."""
    statement: Name
    """What is claimed."""
    where: Annotated[tuple[str, ...], Field(min_length=1)]
    """Keys of the figures or tables whose numbers are read."""
    only: Selection = {}
    """Values that columns must have, one or a list."""
    above: dict[str, float] = {}
    """Numbers that columns must exceed."""
    against: str | None = None
    """Key of a figure or table whose columns are joined, named `<column>_against`."""
    statistic: str
    """The statistic; a variant of `nctransfer.reporting.scorecard.statistics`."""
    options: dict[str, Any] = {}
    """Options of the statistic."""
    effect: Name
    """Name of the statistic's number, in words."""
    direction: Direction
    """Required position of the statistic relative to the threshold."""
    threshold: float | tuple[float, float]
    """A number, or two for `within`."""
    published: PublishedSettings | None = None
    """The published numbers: a `table` (CSV next to the file of claims) on which the statistic is computed or
    of which a `column` is read; or a `text`."""
    expected: ExpectedSettings | None = None
    """What the paper leads one to expect, for the power of the test."""
    source: Name
    """Where it is claimed."""


class JudgedClaimSettings(ClaimSettings):
    """A claim with the name of its row."""

    row: str
    """Number of the claim, with a letter if several rows test it."""


class ChanceJobSettings(Settings):
    """Settings of the job that judges the claims on numbers dealt out anew."""

    claims: tuple[JudgedClaimSettings, ...]  # the claims, in order
    pictures: tuple[str, ...]  # keys of the figures and tables that they read
    permutations: int = 100  # how often the numbers are dealt out


class ScorecardJobSettings(Settings):
    """Settings of the job that judges the claims."""

    claims: tuple[JudgedClaimSettings, ...]  # the claims, in order
    pictures: tuple[str, ...]  # keys of the figures and tables that they read
    published: dict[str, str]  # inputs that contain published numbers, by the name of the table
    set_ups: dict[str, str]  # set-up of every figure and table
    study: str | None  # name of the study
    paper: str  # name of the paper's set-up


class PointsSettings(Settings):
    """Two columns that give the points of a part."""

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
    """Rows of the minuend."""
    minus: Selection
    """Rows of the subtrahend."""


class ComparisonSettings(DifferenceSettings):
    """A quantity under two selections, at all places that have both."""

    over: tuple[str, ...] = ("panel",)
    """Columns that make a place, such as the panel or the tuned unit."""
    cluster: tuple[str, ...] = ()
    """Columns that make an independent part; the places of one (which share networks) are averaged."""
    not_at: Selection = {}
    """Rows that do not count."""
    scale: Literal["difference", "ratio"] = "difference"
    """Subtract, or divide (the mean is then geometric)."""
