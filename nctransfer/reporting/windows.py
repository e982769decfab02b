"""Frames around the axis ranges of published panels, in ours."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from nctransfer.reporting.settings import Window

LOOK: Any = {"gid": "window", "linestyle": (0, (4, 3)), "linewidth": 0.7, "alpha": 0.7, "zorder": 0.4}


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
            axes.plot(*corners, color=color, **LOOK)
        else:
            for level in (bottom, top):
                axes.axhline(level, color=color, **LOOK)
