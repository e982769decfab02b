"""Findings of a statistic in the numbers of a figure or table, and how statistics read such numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.errors import StoreError
from nctransfer.reporting.scorecard.estimates import ALPHA, Bound, Estimate, mean, student
from nctransfer.reporting.scorecard.settings import Selection, Value
from nctransfer.reporting.tidy_rows import SAMPLES

# values of a selection for the rows where the column is lowest or highest
ENDS = {"lowest": "min", "highest": "max"}
Row = Any  # a row of a table, by column: a mapping, or a pandas Series
FEW = 3  # parts, such as panels, over which the spread of a number is estimated
SEEDS, IMAGES = "training seeds", "test images"


@dataclass(frozen=True)
class Part:
    """The number of one part of a figure or table, such as a panel."""

    part: str  # name of the part
    effect: float  # the number; NaN if there is none, with the reason in ``note``
    low: float = np.nan  # lower end of its own 95 % interval; NaN if there is none
    high: float = np.nan  # upper end
    points: int = 0  # number of observations
    note: str = ""  # note for the reader


@dataclass(frozen=True)
class Finding:
    """The number by which a row of the scorecard is judged, over all parts, and its test."""

    effect: float  # NaN if there is none, with the reason in ``note``
    low: float = np.nan  # lower end of the 95 % interval
    high: float = np.nan  # upper end
    points: int = 0  # number of observations
    varies: str = ""  # what varies, over which interval and test are
    supported: float = np.nan  # p of the null hypothesis that the claim is wrong
    refuted: float = np.nan  # p of the null hypothesis that it is right
    least: float = 0.0  # smallest p that so few observations can give
    note: str = ""  # note for the reader
    parts: tuple[Part, ...] = ()  # the numbers of the parts


def finding_of(
    estimate: Estimate,
    bound: Bound,
    parts: Iterable[Part] = (),
    note: str = "",
    also: Iterable[float] = (),
    least: float = 0.0,
) -> Finding:
    """An estimate tested against the bound of a claim.

    ``also`` are the p of further conditions that must be met (an intersection-union test: the largest p
    counts), ``least`` the smallest of them that is possible. The note tells of an interval over test images.
    """
    lacks_seeds = "one run each: the interval is over test images and lacks the training seeds"
    notes = note, lacks_seeds if IMAGES in estimate.varies else ""
    return Finding(
        estimate.value, estimate.low, estimate.high, estimate.points, estimate.varies,
        supported=max([bound.supported(estimate), *also]), refuted=bound.refuted(estimate),
        least=max(estimate.least, least), note="; ".join(filter(None, notes)), parts=tuple(parts),
    )  # fmt: skip


def over_panels(values: Sequence[float], bound: Bound, shown: Sequence[Part]) -> Finding:
    """The mean over panels (Student's t) of one number of each; nothing for fewer than three."""
    if len(values) < FEW:
        return nothing(f"{len(values)} panels; it takes {FEW}", len(values), shown)
    return finding_of(mean(values, "panels"), bound, shown)


def weakest(findings: Sequence[Finding]) -> Finding:
    """Of findings that must all hold the deciding one: without a number, refuted, or of the largest p.

    That all hold needs no correction; that one does not is one chance of several (Bonferroni).
    """
    lacking = [finding for finding in findings if np.isnan(finding.effect)]
    if lacking:
        return lacking[0]
    found = [replace(finding, refuted=min(1.0, len(findings) * finding.refuted)) for finding in findings]
    refuted = min(found, key=lambda finding: finding.refuted)
    worst = max(found, key=lambda finding: (finding.supported, -finding.refuted))
    return refuted if refuted.refuted <= ALPHA else worst


def nothing(note: str, points: int = 0, parts: Iterable[Part] = ()) -> Finding:
    """A finding without a number, and the reason."""
    return Finding(np.nan, points=points, note=note, parts=tuple(parts))


def read_numbers(path: Path) -> pd.DataFrame:
    """Numbers of a figure or table; texts such as ``none`` stay texts. StoreError: no CSV, or no panels."""
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (ValueError, pd.errors.ParserError) as error:
        raise StoreError(f"{path}: not readable as CSV ({error})") from None
    for column in ("panel", "title"):
        if column not in table:
            raise StoreError(f"{path}: has no column {column!r}; there are: {', '.join(map(str, table))}")
    texts = table.select_dtypes(exclude="number").columns
    # before what a spreadsheet would take for a formula
    table[texts] = table[texts].replace(r"^'(?=\s*[=@+-])", "", regex=True)
    return table


def parts(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The panels of a table, with their titles."""
    for _, part in table.groupby("panel", sort=False):
        yield str(part["title"].iloc[0]), part


def numbers(part: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Columns as numbers, without rows that lack one."""
    chosen = part[list(dict.fromkeys(columns))]
    texts = [column for column in chosen if not pd.api.types.is_numeric_dtype(chosen[column])]
    if texts:
        chosen = chosen.apply(pd.to_numeric, errors="coerce")
    return chosen.dropna()


def plural(columns: Sequence[str]) -> str:
    """What points or parts are that these columns name, for readers."""
    words = {
        "panel": "panels", "dataset": "data sets", "model": "networks", "tuned": "tuned units",
        "unit": "units", "method": "methods", "series label": "models", "title label": "networks",
        "label": "points",
    }  # fmt: skip
    return words.get(" ".join(columns), f"different {' and '.join(columns)}")


def names_of(part: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """One text per row, of several columns."""
    first, *others = (part[column].astype(object).fillna("").astype(str) for column in columns)
    for other in others:
        first = first + " " + other
    return first


def select(part: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Rows whose columns have the selected values, in order: ``lowest`` is that of the rows left."""
    for column, value in selection.items():
        if isinstance(value, str) and value in ENDS:
            values = pd.to_numeric(part[column], errors="coerce")
            part = part[values == values.agg(ENDS[value])]
        else:
            wanted = value if isinstance(value, tuple) else (value,)
            numeric = pd.api.types.is_numeric_dtype(part[column]) and not any(
                isinstance(v, str) for v in wanted
            )
            texts = part[column] if numeric else part[column].map(_text)
            part = part[texts.isin(wanted if numeric else [_text(entry) for entry in wanted])]
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


def accuracy_gap(first: Row, second: Row, value: str) -> Estimate:
    """Difference of two means over runs, such as accuracies in percent or logarithms.

    The uncertainty is over training seeds (Welch). Of a single run on so many test images (``test_samples``)
    it is binomial: as if the two runs had been tested on different images, which is an upper bound for runs
    on the same ones, whose errors go together.
    """
    rows = first, second
    terms = [accuracy_error(row, value) for row in rows]
    total = sum(variance for variance, _, _ in terms)
    spread = sum(variance**2 / freedom for variance, freedom, _ in terms)  # no term of infinite freedom
    freedom = total**2 / spread if spread > 0 else np.inf
    varies = " and ".join(dict.fromkeys(source for _, _, source in terms if source))
    images = varies == IMAGES
    points = min(int(row[SAMPLES]) for row in rows) if images else sum(map(_seeds, rows))
    return student(float(first[value] - second[value]), float(np.sqrt(total)), freedom, points, varies)


def paired_gap(first: Row, second: Row, value: str, both: float) -> Estimate:
    """Difference of two accuracies (percent) on the same test images, of which both get ``both`` right.

    The error is that of paired shares, with half an image added to each of the four counts (Agresti and Min
    2005, Statistics in Medicine 24, 729-740).
    """
    images = float(first[SAMPLES])
    only = [(row[value] / 100 * images - both + 0.5) / (images + 2) for row in (first, second)]
    error = 100 * float(np.sqrt((sum(only) - (only[0] - only[1]) ** 2) / (images + 2)))
    return student(float(first[value] - second[value]), error, np.inf, int(images), f"the same {IMAGES}")


def _seeds(row: Row) -> int:
    seeds = row.get("seeds", 1)
    return int(seeds) if pd.notna(seeds) else 1


def accuracy_error(row: Row, value: str) -> tuple[float, float, str]:
    """Variance of a mean, its degrees of freedom, and what varies; NaN if nothing is known of it."""
    count, spread, images = _seeds(row), row.get(f"{value}_std", np.nan), row.get(SAMPLES, np.nan)
    binomial = np.nan
    if value.endswith("accuracy") and pd.notna(images):
        # Agresti and Coull's shares: none is certain
        right = (row[value] / 100 * images + 2) / (images + 4)
        binomial = float(100**2 * right * (1 - right) / (images + 4))
    if count > 1 and pd.notna(spread):
        # equal accuracies of few seeds do not show that nothing varies
        return float(np.nanmax([float(spread) ** 2, binomial])) / count, count - 1, SEEDS
    return (binomial, np.inf, IMAGES) if count == 1 and np.isfinite(binomial) else (np.nan, np.inf, "")
