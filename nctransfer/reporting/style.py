"""What all figures share: fonts and lines, colours, ticks, and notes that cover no point."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from nctransfer.reporting.fits import CORRELATION
from nctransfer.reporting.settings import StyleSettings

NC1 = r"$\mathcal{NC}_1$"
SPLITS = {"train": "training", "test": "test"}  # in words
GAP = 0.035  # distance of a note to the points, as a share of the axes
LEAST = 4  # points whose correlation is shown: the interval of three is (-1, 1)

# colours of Okabe and Ito, distinguishable by colour-blind readers; in the order of the series
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "p", "*")


@contextmanager
def styled(style: StyleSettings) -> Iterator[None]:
    """Apply the configured style; fonts and ticks are set when the figure is laid out inside."""
    size = style.font_size
    look: Any = {
        "font.size": size,
        "axes.labelsize": size,
        "axes.titlesize": size,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "legend.fontsize": size - 1,
        "lines.linewidth": 1.4,
        "lines.markersize": 4,
        "axes.linewidth": 0.6,
    }
    with sns.axes_style("ticks"), sns.plotting_context("paper"), matplotlib.rc_context(look):
        yield


def headroom(axes: Axes) -> None:
    """Make room above the data for a legend or a note."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.18 * (high - low))


def round_ticks(axis: Axis, most: int = 5) -> None:
    """Label a linear axis with a few round numbers, at least three, and at most about ``most``."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))


def plain_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with a few plain numbers; call it when the axis limits are final."""
    low, high = axis.get_view_interval()
    decades = np.log10(high / low)
    if decades < 0.7:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 1.7 else (1,), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def shades(color: str, count: int) -> list[str]:
    """``count`` shades of a colour from light to the colour itself."""
    base = np.array(to_rgb(color))
    lightest = 0.08 if count > 1 else 1  # nearly white: points have a rim
    return [to_hex(1 - (1 - base) * share) for share in np.linspace(lightest, 1, count)]


def place_note(axes: Axes, note: str, points: np.ndarray) -> Text:
    """Write a note into the corner farthest from the points; if all are too close, make room at the top.

    The figure must be laid out. In case of a tie the upper right corner is taken. The note must not cover the
    points, (n, 2) in data coordinates. If it would take more than half of the width, what stands in brackets
    goes to lines of its own.
    """
    text = axes.text(0.5, 0.5, note, transform=axes.transAxes, fontsize="small", zorder=2)
    text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1})  # over guide lines
    frame, box = axes.get_window_extent(), text.get_window_extent()
    if box.width > frame.width / 2:
        text.set_text(note.replace(" [", "\n[").replace(" (", "\n("))
        box = text.get_window_extent()
    width, height = box.width / frame.width, box.height / frame.height
    corners = [(right, top) for top in (True, False) for right in (True, False)]
    clearances = [clearance(axes, points, _box(corner, width, height)) for corner in corners]
    best = int(np.argmax(clearances))
    right, top = corners[best]
    if clearances[best] < GAP:
        right, top = corners[0]
        # raise the upper limit, so that the upper part of the axes is free of points
        low, high = axes.get_ylim()
        axes.set_ylim(low, max(high, low + (float(points[:, 1].max()) - low) / (1 - (height + 2 * GAP))))
    x, ha = (0.97, "right") if right else (0.03, "left")
    y, va = (0.97, "top") if top else (0.03, "bottom")
    text.set(x=x, y=y, ha=ha, va=va)
    return text


def _box(corner: tuple[bool, bool], width: float, height: float) -> Sequence[float]:
    """Left, right, bottom and top of a note in a corner, as shares of the axes."""
    right, top = corner
    left = 0.97 - width if right else 0.03
    bottom = 0.97 - height if top else 0.03
    return left, left + width, bottom, bottom + height


def clearance(axes: Axes, points: np.ndarray, box: Sequence[float]) -> float:
    """Distance of a box to the nearest point, as a share of the axes; 0 if one lies inside."""
    left, right, bottom, top = box
    x, y = axes.transAxes.inverted().transform(axes.transData.transform(points)).T
    dx = np.maximum(np.maximum(left - x, x - right), 0)
    dy = np.maximum(np.maximum(bottom - y, y - top), 0)
    return float(np.hypot(dx, dy).min())


def related(row: pd.Series, prefix: str = "") -> bool:
    """Whether a correlation's interval, ``<prefix>pearson_low`` and ``..._high``, leaves out 0."""
    return bool(row[f"{prefix}pearson_low"] * row[f"{prefix}pearson_high"] > 0)


def correlation_text(row: pd.Series, count: int, prefix: str = "", of: str = "") -> str:
    """Pearson's r of ``count`` points, ``of`` something, with its interval; empty for too few of them."""
    r, low, high = (row[f"{prefix}{field}"] for field in CORRELATION[:3])
    if count < LEAST:
        return ""
    return "r undefined" if np.isnan(r) else minus(f"r = {r:.2f} [{low:.2f}, {high:.2f}]{of}")


def minus(text: str) -> str:
    """Replace hyphens by minus signs."""
    return text.replace("-", "\N{MINUS SIGN}")
