"""Findings of a statistic in the numbers of a figure or table, part by part, and their intervals."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.errors import StoreError
from nctransfer.reporting.scorecard.settings import DifferenceSettings, Selection, Value

# values of a selection for the rows where the column is lowest or highest
ENDS = {"lowest": "min", "highest": "max"}


@dataclass(frozen=True)
class Finding:
    """One number by which a claim is judged."""

    part: str  # part of the figure or table, such as the panel
    effect: float  # the number; NaN if there is none, with the reason in ``note``
    low: float = np.nan  # lower end of its 95 % interval; NaN if there is no interval
    high: float = np.nan  # upper end
    points: int = 0  # number of observations
    note: str = ""  # note for the reader


def read_numbers(path: Path) -> pd.DataFrame:
    """Read the numbers of a figure or table, or published ones; texts such as ``none`` stay texts.

    Raises:
        StoreError: the file is not CSV, or has no panels.
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
    """A finding without a number, and the reason."""
    return Finding(part, np.nan, points=points, note=note)


def parts(table: pd.DataFrame, by: Sequence[str] = ()) -> Iterator[tuple[str, pd.DataFrame]]:
    """The panels of a table, each split further by the columns ``by``, with their names."""
    for _, part in table.groupby(["panel", *by], sort=False):
        first = part.iloc[0]
        words = [
            str(first["title"]),
            *(f"{first[key]}" if key == "method" else f"{key} {first[key]}" for key in by),
        ]
        yield ", ".join(words), part


def together(table: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """All panels of a table as one part, or one part per value of some columns."""
    if not by:
        yield "all panels", table
        return
    for values, part in table.groupby(list(by), sort=False):
        yield f"all panels, {', '.join(map(str, values))}", part


def numbers(part: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Columns as numbers, without rows that lack one."""
    return part[list(columns)].apply(pd.to_numeric, errors="coerce").dropna()


def select(part: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Rows whose columns have the selected values, applied in order.

    ``lowest`` and ``highest`` refer to the rows that are left.
    """
    for column, value in selection.items():
        if isinstance(value, str) and value in ENDS:
            values = pd.to_numeric(part[column], errors="coerce")
            part = part[values == values.agg(ENDS[value])]
        else:
            texts = [_text(entry) for entry in (value if isinstance(value, tuple) else [value])]
            part = part[part[column].map(_text).isin(texts)]
    return part


def _text(value: Value) -> str:
    """A value as text, the same for 3 and 3.0: columns with missing whole numbers hold floats."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def described(selection: Selection) -> str:
    """A selection in words."""
    return ", ".join(str(value) if key == "method" else f"{key} {value}" for key, value in selection.items())


def one_row(part: pd.DataFrame, selection: Selection) -> tuple[pd.Series | None, str]:
    """The single row of a selection, or None and the reason."""
    rows = select(part, selection)
    if len(rows) == 1:
        return rows.iloc[0], ""
    return None, f"{'no' if rows.empty else len(rows)} rows of {described(selection)}"


def mean_of(row: pd.Series, value: str) -> tuple[float, float, int]:
    """Mean, standard deviation and number of seeds of a value; the deviation is NaN if unknown."""
    seeds = row.get("seeds", 1)
    spread = row.get(f"{value}_std", np.nan)
    count = int(seeds) if pd.notna(seeds) else 1
    return float(row[value]), float(spread) if count > 1 and pd.notna(spread) else np.nan, count


def welch(first: tuple[float, float, int], second: tuple[float, float, int]) -> tuple[float, float]:
    """95 % interval of the difference of two means (Welch), from their means, deviations and counts.

    NaN if a deviation is unknown, or both are zero.
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

    It is all of [-1, 1] for three points. A perfect order, which few points show by chance, has the inner end
    of the order next to it.
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
    """Differences between two selections at their common places.

    ``over`` are the columns that make a place.

    Returns:
        the columns of ``over`` and ``difference``, one row per place.
    """
    first, second = (
        select(table, selection).dropna(subset=[*over, options.value]).set_index(list(over))[options.value]
        for selection in (options.of, options.minus)
    )
    # a place that occurs twice is ambiguous
    first, second = (rows[~rows.index.duplicated(keep=False)] for rows in (first, second))
    gap = (first - second).dropna().rename("difference")
    return gap.reset_index()
