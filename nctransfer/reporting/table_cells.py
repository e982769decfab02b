"""Cells of tables: emphasis (the best, the second best, the heading of a block), and safe texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import Any

import numpy as np

from nctransfer.reporting.tidy_rows import TRANSFER

MISSING = "\N{EN DASH}"
# Characters with a meaning in Markdown or HTML: underscores only at the edges of words, brackets in links.
MARKUP = re.compile(r"[\\`*|<]|~(?=~)|\[(?=[^\]]*\][(\[])|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
# Beginnings that spreadsheets take for a formula, but for those of numbers.
FORMULA = re.compile(r"[=@]|[+-](?!$|[\d.]+(?:[eE][+-]?\d+)?$)")


class Emphasis(Enum):
    """Emphasis of a cell, as (text before and after it in Markdown, LaTeX command, HTML element)."""

    BEST = ("**", "**", "textbf", "strong")
    SECOND = ("<u>", "</u>", "underline", "u")
    HEADING = ("*", "*", "textit", "em")


@dataclass(frozen=True)
class Cell:
    """A cell with emphasis; ``text`` is not escaped."""

    text: str
    emphasis: Emphasis

    def __str__(self) -> str:
        """The text alone."""
        return self.text


def heading(text: str, columns: int) -> list[str | Cell]:
    """The heading row of a block, for a table with so many columns."""
    return [Cell(text, Emphasis.HEADING), *[""] * (columns - 1)]


def markdown(cell: str | Cell) -> str:
    """A cell in Markdown; what Markdown or HTML would interpret is escaped."""
    text = MARKUP.sub(r"\\\g<0>", str(cell))
    if isinstance(cell, Cell):
        before, after, *_ = cell.emphasis.value
        return f"{before}{text}{after}"
    return text


def on_one_line(cell: str | Cell) -> str | Cell:
    """A cell without line breaks."""
    text = re.sub(r"\s*[\r\n]\s*", " ", str(cell))
    return Cell(text, cell.emphasis) if isinstance(cell, Cell) else text


def inert(value: Any) -> Any:
    """A value of a CSV, on one line; a text that a spreadsheet would compute begins with an apostrophe."""
    if not isinstance(value, str):
        return value
    text = re.sub(r"[\r\n\t]+", " ", value)
    return f"'{text}" if FORMULA.match(text.lstrip()) else text


def latex_command(cell: str | Cell) -> str:
    """LaTeX command of a cell for :class:`pandas.io.formats.style.Styler`; empty for none."""
    return f"{cell.emphasis.value[2]}:--rwrap;" if isinstance(cell, Cell) else ""


def html(cell: str | Cell) -> str:
    """A cell in HTML."""
    text = escape(str(cell))
    if isinstance(cell, Cell):
        element = cell.emphasis.value[3]
        return f"<{element}>{text}</{element}>"
    return text


def is_heading(cell: str | Cell) -> bool:
    """Whether a cell is the heading of a block of rows."""
    return isinstance(cell, Cell) and cell.emphasis is Emphasis.HEADING


def emphasised(texts: Sequence[str], scores: Sequence[float]) -> list[str | Cell]:
    """Emphasise the highest score as the best and the next as the second best.

    Scores must be rounded like the texts, or equal texts could differ in emphasis. If several are best there
    is no second; two scores have no second, and one has no best. Texts and scores have shape (n,); the higher
    a score the better, NaN is ignored.
    """
    values = np.asarray(scores, np.float64)
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return list(texts)
    best = finite.max()
    others = finite[finite < best]
    second = others.max() if len(finite) > 2 and len(others) == len(finite) - 1 else np.nan
    reasons = {best: Emphasis.BEST, second: Emphasis.SECOND}
    pairs = zip(texts, values, strict=True)
    return [Cell(text, reasons[score]) if score in reasons else text for text, score in pairs]


def spread(mean: float, std: float, seeds: int, digits: str) -> str:
    """A mean, of several seeds with its standard deviation, in the format ``digits``; a dash for NaN."""
    if np.isnan(mean):
        return MISSING
    return f"{mean:{digits}}" + (f" ± {std:{digits}}" if seeds > 1 and not np.isnan(std) else "")


def accuracy_text(row: Any, digits: str) -> str:
    """A transfer accuracy with its deviation over seeds, or for one seed with its interval."""
    mean, std, seeds = (row[column] for column in (TRANSFER, f"{TRANSFER}_std", "seeds"))
    low, high = (row.get(f"{TRANSFER}_{end}", np.nan) for end in ("low", "high"))
    if seeds == 1 and np.isfinite([mean, low, high]).all():
        return f"{mean:{digits}} [{low:{digits}}, {high:{digits}}]"
    return spread(mean, std, seeds, digits)


def as_written(value: float, digits: str) -> float:
    """A number rounded like its text."""
    return float(f"{value:{digits}}")


def seeds_in_words(seeds: Sequence[int]) -> str:
    """Addition to a heading if there are means over several seeds."""
    several = [count for count in seeds if count > 1]
    if not several:
        return ""
    low, high = min(several), max(several)
    return f", mean ± std over {high if low == high else f'{low} to {high}'} seeds"
