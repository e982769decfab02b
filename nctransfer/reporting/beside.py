"""Tables beside published numbers: ours, the published ones, and the difference."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.table_cells import MISSING, Cell, is_heading

KEYS = ("title", "series", "label", "method", "pooling", "units", "shots")  # what tells rows of a table apart
VALUES = ("accuracy", "transfer_accuracy", "nc1", "share")
PUBLISHED, DIFFERENCE = "published", "difference"
INDENT = 3 * "\N{NO-BREAK SPACE}"
# a number at the start of a cell, alone or followed by its spread or interval
NUMBER = re.compile(r"([-+]?\d+(?:\.(?P<decimals>\d+))?(?P<exponent>e[-+]?\d+)?)(?: [±[].*)?")


def with_published(numbers: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """The numbers of a table with published ones.

    Columns of ``published`` among :data:`KEYS` name the row, those among :data:`VALUES`, and their standard
    deviations ``<value>_std``, are compared.

    Returns:
        the same rows with ``<value>_published``, ``<value>_std_published`` and ``<value>_difference`` (ours
        minus the published one), missing where nothing is published.

    Raises:
        DegenerateInputError: the published numbers have no column in common, or one row twice.
    """
    shared = [column for column in published if column in numbers]
    keys = [key for key in KEYS if key in shared]
    values = [value for value in VALUES if value in shared]
    if not keys or not values:
        raise DegenerateInputError(
            f"the published numbers have the columns {', '.join(map(str, published))}; they need one of "
            f"{', '.join(KEYS)} and one of {', '.join(VALUES)} that the table has too"
        )
    if (twice := published[keys].duplicated()).any():
        row = ", ".join(map(str, published.loc[twice, keys].iloc[0]))
        raise DegenerateInputError(f"the published numbers list {row} more than once")
    spreads = [f"{value}_std" for value in values if f"{value}_std" in published]
    names = {column: f"{column}_{PUBLISHED}" for column in (*values, *spreads)}
    theirs = published[[*keys, *names]].rename(columns=names)
    merged = numbers.merge(theirs, on=keys, how="left")
    for value in values:
        merged[f"{value}_{DIFFERENCE}"] = merged[value] - merged[f"{value}_{PUBLISHED}"]
    return merged


def present_beside(numbers: pd.DataFrame, present: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """``present`` of :func:`with_published`'s table: below rows the published numbers and differences."""
    # the published numbers in place of ours; other measurements are missing
    measured = numbers.select_dtypes("float").columns
    published = {column: numbers.get(f"{column}_{PUBLISHED}", np.nan) for column in measured}
    ours, theirs = present(numbers), present(numbers.assign(**published))
    rows: list[list[str | Cell]] = []
    for own, other in zip(ours.to_numpy().tolist(), theirs.to_numpy().tolist(), strict=True):
        rows.append(own)
        known = [cell if NUMBER.fullmatch(str(cell)) else "" for cell in other[1:]]
        if any(known) and not is_heading(own[0]):
            rows.append([INDENT + PUBLISHED, *known])
            rows.append([INDENT + DIFFERENCE, *map(_difference, own[1:], known)])
    readable = pd.DataFrame(rows, columns=ours.columns, dtype=object)
    readable.attrs |= ours.attrs
    return readable


def _difference(own: str | Cell, other: str | Cell) -> str:
    """Difference of two numbers as written, with the more decimals of the two."""
    found = [NUMBER.fullmatch(str(cell)) for cell in (own, other)]
    if found[0] is None or found[1] is None:
        return MISSING if str(other) else ""
    first, second = found[0], found[1]
    gap = float(first[1]) - float(second[1])
    if first["exponent"] or second["exponent"]:
        return f"{gap:+.1e}"
    return f"{gap:+.{max(len(match['decimals'] or '') for match in (first, second))}f}"
