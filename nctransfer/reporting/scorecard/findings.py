"""What a statistic finds in the numbers of a figure or table, part by part, and its intervals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.errors import StoreError
from nctransfer.reporting.scorecard.settings import DifferenceSettings, Selection, Value

# words that a selection may use in place of a value: the rows where the column is lowest or highest
ENDS = {"lowest": "min", "highest": "max"}


@dataclass(frozen=True)
class Finding:
    """One number that a claim is judged by.

    Attributes:
        part: what of the picture it was found in, such as the panel.
        effect: the number; NaN where there is none, and then ``note`` says why.
        low: lower end of its 95 % interval; NaN where there is no interval.
        high: upper end.
        points: observations behind it.
        note: what a reader should know of it.
    """

    part: str
    effect: float
    low: float = np.nan
    high: float = np.nan
    points: int = 0
    note: str = ""


def read_numbers(path: Path) -> pd.DataFrame:
    """Read the numbers behind a figure or table, or published ones; texts such as ``none`` stay texts.

    Raises:
        StoreError: the file is no CSV, or has no panels.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path}: not readable as CSV ({error})") from None
    for column in ("panel", "title"):
        if column not in table:
            raise StoreError(f"{path}: has no column {column!r}; there are: {', '.join(map(str, table))}")
    return table


def nothing(part: str, note: str, points: int = 0) -> Finding:
    """A finding that could not be made, and why."""
    return Finding(part, np.nan, points=points, note=note)


def parts(table: pd.DataFrame, by: Sequence[str] = ()) -> Iterator[tuple[str, pd.DataFrame]]:
    """The panels of a table, each further split by some columns, with their names.

    Args:
        table: numbers of a figure or table, with ``panel`` and ``title``.
        by: further columns that set parts apart; their values join the name.
    """
    for _, part in table.groupby(["panel", *by], sort=False):
        first = part.iloc[0]
        words = [
            str(first["title"]),
            *(f"{first[key]}" if key == "method" else f"{key} {first[key]}" for key in by),
        ]
        yield ", ".join(words), part


def together(table: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """All panels of a table as one part, or one for each value of some columns."""
    if not by:
        yield "all panels", table
        return
    for values, part in table.groupby(list(by), sort=False):
        yield f"all panels, {', '.join(map(str, values))}", part


def numbers(part: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Columns as numbers, rows that lack one left out."""
    return part[list(columns)].apply(pd.to_numeric, errors="coerce").dropna()


def select(part: pd.DataFrame, wanted: Selection) -> pd.DataFrame:
    """Rows where columns have the values wanted.

    Args:
        part: rows.
        wanted: what columns must be; ``lowest`` and ``highest`` are of the rows that are left.
    """
    for column, value in wanted.items():
        if isinstance(value, str) and value in ENDS:
            values = pd.to_numeric(part[column], errors="coerce")
            part = part[values == values.agg(ENDS[value])]
        else:
            texts = [_text(entry) for entry in (value if isinstance(value, tuple) else [value])]
            part = part[part[column].map(_text).isin(texts)]
    return part


def _text(value: Value) -> str:
    """A value as it is written, 3 and 3.0 alike: a column that lacks some whole numbers holds floats."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def named(wanted: Selection) -> str:
    """A selection in words."""
    return ", ".join(str(value) if key == "method" else f"{key} {value}" for key, value in wanted.items())


def one_row(part: pd.DataFrame, wanted: Selection) -> tuple[pd.Series | None, str]:
    """The one row of a selection, or None and why there is not one."""
    rows = select(part, wanted)
    if len(rows) == 1:
        return rows.iloc[0], ""
    return None, f"{'no' if rows.empty else len(rows)} rows of {named(wanted)}"


def mean_of(row: pd.Series, value: str) -> tuple[float, float, int]:
    """Mean, standard deviation and number of seeds of a value; NaN deviation where it is not known."""
    seeds = row.get("seeds", 1)
    spread = row.get(f"{value}_std", np.nan)
    count = int(seeds) if pd.notna(seeds) else 1
    return float(row[value]), float(spread) if count > 1 and pd.notna(spread) else np.nan, count


def welch(first: tuple[float, float, int], second: tuple[float, float, int]) -> tuple[float, float]:
    """95 % interval of the difference of two means (Welch), from their means, deviations and counts.

    NaN where a deviation is not known, or neither varies.
    """
    (a, spread_a, n_a), (b, spread_b, n_b) = first, second
    var_a, var_b = spread_a**2 / n_a, spread_b**2 / n_b
    if not np.isfinite(var_a + var_b) or var_a + var_b == 0:
        return np.nan, np.nan
    freedom = (var_a + var_b) ** 2 / (var_a**2 / (n_a - 1) + var_b**2 / (n_b - 1))
    half = float(stats.t.ppf(0.975, freedom) * np.sqrt(var_a + var_b))
    return a - b - half, a - b + half


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of a mean (Student's t); NaN for fewer than two values."""
    if len(values) < 2:
        return np.nan, np.nan
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    return float(low), float(high)


def spearman_interval(rho: float, count: int) -> tuple[float, float]:
    """95 % interval of a rank correlation: Fisher's z, its variance 1.06 / (n - 3) (Fieller et al. 1957).

    All of [-1, 1] for three points, which say nothing. A perfect order, which few points show by chance, has
    the inner end of the order next to it.
    """
    if not np.isfinite(rho) or count < 3:
        return np.nan, np.nan
    if count == 3:
        return -1.0, 1.0
    half = 1.96 * np.sqrt(1.06 / (count - 3))
    next_to_perfect = 1 - 12 / (count * (count**2 - 1))
    centre = np.arctanh(np.clip(rho, -next_to_perfect, next_to_perfect))
    low, high = float(np.tanh(centre - half)), float(np.tanh(centre + half))
    return (-1.0 if rho < -next_to_perfect else low), (1.0 if rho > next_to_perfect else high)


def paired(table: pd.DataFrame, options: DifferenceSettings, over: Sequence[str]) -> pd.DataFrame:
    """Differences between two selections at the places that both have, once each.

    Args:
        table: numbers of a figure or table.
        options: the quantity and the selections.
        over: columns that make a place.

    Returns:
        the columns of ``over`` and ``difference``, one row per place.
    """
    first, second = (
        select(table, wanted).dropna(subset=[*over, options.value]).set_index(list(over))[options.value]
        for wanted in (options.of, options.minus)
    )
    # where a place stands twice, nobody knows which is meant
    first, second = (rows[~rows.index.duplicated(keep=False)] for rows in (first, second))
    gap = (first - second).dropna().rename("difference")
    return gap.reset_index()
