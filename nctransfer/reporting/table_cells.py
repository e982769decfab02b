"""What a table's cells say beyond their text: the best, the second best, the heading of a block."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from html import escape

import numpy as np

MISSING = "\N{EN DASH}"


class Emphasis(Enum):
    """Why a cell stands out, as (before and after it in Markdown, LaTeX command, HTML element around it)."""

    BEST = ("**", "**", "textbf", "strong")
    SECOND = ("<u>", "</u>", "underline", "u")
    HEADING = ("*", "*", "textit", "em")


@dataclass(frozen=True)
class Cell:
    """A cell that stands out.

    Attributes:
        text: what it says, not escaped.
        emphasis: why it stands out.
    """

    text: str
    emphasis: Emphasis

    def __str__(self) -> str:
        """Its text alone."""
        return self.text


def heading(text: str, columns: int) -> list[str | Cell]:
    """A row that heads a block, of a table of so many columns."""
    return [Cell(text, Emphasis.HEADING), *[""] * (columns - 1)]


def markdown(cell: str | Cell) -> str:
    """A cell in Markdown."""
    if isinstance(cell, Cell):
        before, after, *_ = cell.emphasis.value
        return f"{before}{cell.text}{after}"
    return cell


def latex_command(cell: str | Cell) -> str:
    """LaTeX command around a cell, as :class:`pandas.io.formats.style.Styler` writes it; empty for none."""
    return f"{cell.emphasis.value[2]}:--rwrap;" if isinstance(cell, Cell) else ""


def html(cell: str | Cell) -> str:
    """A cell in HTML."""
    text = escape(str(cell))
    if isinstance(cell, Cell):
        element = cell.emphasis.value[3]
        return f"<{element}>{text}</{element}>"
    return text


def is_heading(cell: str | Cell) -> bool:
    """Whether a cell heads a block of rows."""
    return isinstance(cell, Cell) and cell.emphasis is Emphasis.HEADING


def emphasised(texts: Sequence[str], scores: Sequence[float]) -> list[str | Cell]:
    """Emphasise the highest score as the best and the next as the second best.

    Equal scores look alike: give them as rounded as the texts, or two equal texts look unequal.
    Where several are best there is no second; nor is there among two, nor a best among one.

    Args:
        texts: cells, (n,).
        scores: the higher the better, (n,); NaN takes no part.
    """
    given = np.asarray(scores, np.float64)
    finite = given[np.isfinite(given)]
    if len(finite) < 2:
        return list(texts)
    best = finite.max()
    rest = finite[finite < best]
    second = rest.max() if len(finite) > 2 and len(rest) == len(finite) - 1 else np.nan
    reasons = {best: Emphasis.BEST, second: Emphasis.SECOND}
    pairs = zip(texts, given, strict=True)
    return [Cell(text, reasons[score]) if score in reasons else text for text, score in pairs]


def spread(mean: float, std: float, seeds: int, digits: str) -> str:
    """A mean, with its standard deviation where there are several seeds; a dash where there is none.

    Args:
        mean: may be NaN.
        std: standard deviation over the seeds.
        seeds: how many.
        digits: format of both, such as ``.2f``.
    """
    if np.isnan(mean):
        return MISSING
    return f"{mean:{digits}}" + (f" ± {std:{digits}}" if seeds > 1 else "")


def as_written(value: float, digits: str) -> float:
    """A number as rounded as its text."""
    return float(f"{value:{digits}}")


def seeds_in_words(seeds: Sequence[int]) -> str:
    """What a heading adds where there are means over several seeds."""
    several = [count for count in seeds if count > 1]
    if not several:
        return ""
    low, high = min(several), max(several)
    return f", mean ± std over {high if low == high else f'{low} to {high}'} seeds"
