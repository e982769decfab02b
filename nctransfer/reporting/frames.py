"""Figures of diagrams: panels below each other, in inches, with titles and room for a legend."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.reporting.style import panel_title, styled

MARGIN, TITLE, LEGEND = 0.06, 0.24, 0.34  # of a figure; above a panel; below all


@contextmanager
def panelled(
    table: pd.DataFrame, style: Mapping[str, Any], tall: Callable[[pd.DataFrame], float]
) -> Iterator[tuple[Figure, list[tuple[Axes, pd.DataFrame, float]]]]:
    """A figure of bare axes below each other, an inch a unit, with titles and room for a legend.

    Args:
        table: rows of all panels.
        style: the figure's style.
        tall: height of a panel below its title.

    Yields:
        the figure, and of each panel its axes, its rows and the height below its title; x runs over
        :func:`room`.
    """
    panels = [part for _, part in table.groupby("panel", sort=False)]
    heights = [tall(part) for part in panels]
    width, height = style["width"], sum(heights) + TITLE * len(panels) + LEGEND
    with styled(style):
        figure = Figure((width, height))
        drawn, top = [], height
        for part, below in zip(panels, heights, strict=True):
            top -= TITLE + below
            axes = figure.add_axes((0, top / height, 1, (TITLE + below) / height))
            axes.set(xlim=(-MARGIN, width - MARGIN), ylim=(0, TITLE + below))
            axes.set_axis_off()
            title = panel_title(part, len(panels))
            axes.text(0, TITLE + below - 0.05, title, va="top", fontsize=style["font_size"] + 1)
            drawn.append((axes, part, below))
        yield figure, drawn
        figure.draw_without_rendering()  # fonts are set while the style holds


def room(style: Mapping[str, Any]) -> float:
    """Width of what is drawn, from 0."""
    return float(style["width"] - 2 * MARGIN)
