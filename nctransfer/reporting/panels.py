"""Panels of figures: letters, titles, axes, and frames around the axis ranges of published panels."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nctransfer.reporting.settings import StyleSettings, Window
from nctransfer.reporting.style import styled

Panels = list[tuple[Axes, pd.DataFrame]]  # axes and their rows
WINDOW: Any = {"gid": "window", "linestyle": (0, (4, 3)), "linewidth": 0.7, "alpha": 0.7, "zorder": 0.4}


def letter(index: int) -> str:
    """Letter of a panel: a, b, ..."""
    return chr(ord("a") + index)


def by_panel(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows of every panel."""
    return [part for _, part in table.groupby("panel", sort=False)]


def led_by(table: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """A table with further columns in front, each with one value."""
    return table.assign(**columns)[[*columns, *table.columns]]


def panel_title(part: pd.DataFrame, panels: int) -> str:
    """Title of a panel's axes, with its letter if there are several panels."""
    first = part.iloc[0]
    return f"({first['panel']}) {first['title']}" if panels > 1 else str(first["title"])


def grid(count: int, width: float, narrowest: float = 2.1) -> tuple[int, int]:
    """Rows and columns of axes that are at least ``narrowest`` inches wide, in rows as equal as possible."""
    fitting = max(1, int(width // narrowest))
    rows = -(-count // fitting)
    return rows, -(-count // rows)


@contextmanager
def new_figure(style: StyleSettings, width: float, height: float, lay_out: bool = True) -> Iterator[Figure]:
    """An empty figure, in inches, whose layout leaves room for labels; the style applies while it is drawn.

    Then it is laid out, or only when it is saved: every further layout moves the axes slightly.
    """
    with styled(style):
        figure = Figure((width, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
        yield figure
        if lay_out:
            figure.draw_without_rendering()  # fonts and ticks are set while the style applies


def panel_axes(figure: Figure, table: pd.DataFrame, shape: tuple[int, int], **options: Any) -> Panels:
    """Axes, ``shape`` rows and columns, with a title for every panel; ``options`` of ``subplots``."""
    panels = by_panel(table)
    axes = list(figure.subplots(*shape, squeeze=False, **options).flat)
    for spare in axes[len(panels) :]:
        spare.remove()
    for ax, part in zip(axes, panels, strict=False):
        ax.set_title(panel_title(part, len(panels)), loc="left")
    return list(zip(axes, panels, strict=False))


FORMULA = re.compile(r"(?<!\\)\$.*?(?<!\\)\$")
# Where no line may end within a formula.
SOLID = {ord(" "): ord("\N{NO-BREAK SPACE}"), ord("-"): ord("\N{NON-BREAKING HYPHEN}")}


def break_texts(figure: Figure, axes: Sequence[Axes]) -> None:
    """Break titles, and labels of horizontal axes, that are wider than their axes."""
    figure.draw_without_rendering()
    for ax in axes:
        room = ax.get_window_extent().width
        for said in (ax.set_title(ax.get_title(loc="left"), loc="left"), ax.xaxis.label):
            text, width = said.get_text(), said.get_window_extent().width
            if width > room:
                most = max(1, int(len(text) * room / width))
                whole = FORMULA.sub(lambda formula: formula[0].translate(SOLID), text)
                broken = textwrap.fill(whole, most, break_long_words=False)
                said.set_text(broken.translate({new: old for old, new in SOLID.items()}))


def frame(
    axes: Axes, windows: Iterable[Window], part: pd.DataFrame, x: str, y: str, color: str = "0.6"
) -> None:
    """Draw the published window of a panel (``part``), if it has one, and make the axes reach it.

    ``x`` and ``y`` are columns; without a range of x, that of y is two horizontal lines.
    """
    first = part.iloc[0]
    for window in windows:
        if (window.panel, window.title) != (first["panel"], first["title"]) or y not in window.ranges:
            continue
        bottom, top = window.ranges[y]
        if x in window.ranges:
            left, right = window.ranges[x]
            corners = [left, right, right, left, left], [bottom, bottom, top, top, bottom]
            axes.plot(*corners, color=color, **WINDOW)
        else:
            for level in (bottom, top):
                axes.axhline(level, color=color, **WINDOW)
