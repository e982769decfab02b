"""Looks of series: colour, marker and line style, the same in every figure, and one legend."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctransfer.reporting.panels import Panels, break_texts, grid, new_figure, panel_axes
from nctransfer.reporting.settings import StyleSettings
from nctransfer.reporting.style import COLORS, MARKERS, shades
from nctransfer.reporting.tuning_methods import facts_of, places

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
MARKER_SIZES = {"p": 5.5, "*": 7}  # for markers that look smaller than they are
ONE_COLUMN = 3.25  # inches of a paper's column
MOST = 7  # looks in a row of a legend
GREY = "0.45"  # for methods without training
BARS: dict[str, Any] = {"fmt": "none", "elinewidth": 0.7, "capsize": 0}


@dataclass(frozen=True)
class Look:
    """Look of a series, or of one of its points."""

    name: str  # name in the legend
    color: str  # colour of its line, or inside its marker
    marker: str  # matplotlib's marker
    dashes: Any = "none"  # matplotlib's line style; ``none`` for a point
    rim: str = "white"  # colour of the marker's edge
    group: str = ""  # looks of one group stand together in the legend

    def line(self) -> dict[str, Any]:
        """Arguments of matplotlib's ``plot``."""
        return {
            "label": self.name, "color": self.color, "linestyle": self.dashes, "marker": self.marker,
            "markersize": MARKER_SIZES.get(self.marker, 4), "markeredgecolor": self.rim,
            "markeredgewidth": 0.4,
        }  # fmt: skip

    def handle(self) -> Line2D:
        """A point in a legend."""
        return Line2D(
            [], [], linestyle="none", marker=self.marker, markersize=5.5, markerfacecolor=self.color,
            markeredgecolor=self.rim, markeredgewidth=0.6, label=self.name,
        )  # fmt: skip


PointLooks = Mapping[tuple[str, str], Look]  # by series and label


def _pair(place: int) -> tuple[str, str]:
    """Colour and marker; pairs repeat only after all of them."""
    return COLORS[place % len(COLORS)], MARKERS[(place + place // len(COLORS)) % len(MARKERS)]


def looks_of_points(table: pd.DataFrame) -> PointLooks:
    """Looks of the points of :func:`~nctransfer.reporting.points.points_table` by (series, label).

    A series has a marker and a colour, its points are shades of it from light to dark. If every panel has one
    series of its own models, named by the panel's title, looks distinguish the labels instead.
    """
    apart = table["panel"].nunique() > 1 and (table.groupby("model")["panel"].nunique() == 1).all()
    if apart and (table.groupby("panel")["series"].nunique() == 1).all():
        return looks_of_labels(table)
    looks = {}
    points = table[["series", "label"]].drop_duplicates()
    for place, (series, part) in enumerate(points.groupby("series", sort=False)):
        color, marker = _pair(place)
        for label, shade in zip(part["label"], shades(color, len(part)), strict=True):
            name = f"{series} {label}".strip()
            looks[str(series), label] = Look(name, shade, marker, rim=color, group=str(series))
    return looks


def looks_of_labels(table: pd.DataFrame) -> PointLooks:
    """Looks by (series, label) that depend only on the label, in the order of the labels."""
    points = table.sort_values("order", kind="stable")[["series", "label"]].drop_duplicates()
    ranks = {label: rank for rank, label in enumerate(dict.fromkeys(points["label"]))}
    return {
        (series, label): Look(label, *_pair(ranks[label])) for series, label in points.itertuples(index=False)
    }


def looks_of_runs(table: pd.DataFrame) -> Mapping[str, Look]:
    """Looks by name, in the order of the rows of a table of means: that of the method, in other dashes."""
    series = table.drop_duplicates("name")[["name", "method"]]
    place = places(series["method"])
    looks: dict[str, Look] = {}
    for method, names in series.groupby("method", sort=False)["name"]:
        color, marker = _pair(place[str(method)]) if facts_of(str(method)).trains else (GREY, MARKERS[-1])
        for index, name in enumerate(names):
            turns, dashes = divmod(index, len(DASHES))  # after all dashes, markers change
            turned = MARKERS[(MARKERS.index(marker) + turns) % len(MARKERS)]
            looks[name] = Look(name, color, turned, DASHES[dashes])
    return {name: looks[name] for name in series["name"]}


def draw_points(axes: Axes, part: pd.DataFrame, looks: PointLooks, x: str, y: str) -> None:
    """Draw a panel's points, one path collection each, with the bars of :func:`reach`."""
    bars = reach(part, y)
    if bars.any():  # bars of no length would set the limits of a logarithmic axis
        axes.errorbar(part[x], part[y], yerr=bars, ecolor="0.5", zorder=2, **BARS)
    for row in part.to_dict("records"):
        look = looks[row["series"], row["label"]]
        axes.scatter(
            row[x], row[y], s=30, marker=look.marker, facecolor=[look.color], edgecolor=look.rim,
            linewidth=0.6, zorder=3, label=look.name,
        )  # fmt: skip


def draw_mean(axes: Axes, part: pd.DataFrame, x: str, y: str, look: Look, **changes: Any) -> None:
    """Draw means as a line, with the bars of :func:`reach`; ``changes`` are arguments of ``plot``."""
    style, across, mean = look.line() | changes, part[x].to_numpy(float), part[y].to_numpy(float)
    axes.plot(across, mean, **style)
    axes.errorbar(across, mean, yerr=reach(part, y), ecolor=style["color"], **BARS)


def reach(part: pd.DataFrame, y: str) -> np.ndarray:
    """Bars below and above every ``y``, (2, rows): deviation over seeds, else 95 % interval, none of NC1."""
    lengths = np.zeros((2, len(part)))
    if f"{y}_low" in part:
        lengths = np.stack([part[y] - part[f"{y}_low"], part[f"{y}_high"] - part[y]]).astype(float)
    if f"{y}_std" in part:
        std = part[f"{y}_std"].to_numpy(float)
        lengths = np.where(np.isfinite(std), std, lengths)
    return np.nan_to_num(lengths)


def draw_lines(axes: Axes, part: pd.DataFrame, x: str, looks: Mapping[str, Look]) -> None:
    """Draw a panel's accuracies, one line per series; rows without an abscissa are horizontal lines."""
    for name, line in part.groupby("name", sort=False):
        look, placed = looks[str(name)], line.dropna(subset=x).sort_values(x)
        if len(placed):
            draw_mean(axes, placed, x, "transfer_accuracy", look)
        level: dict[str, Any] = {"linestyle": (0, (5, 2.5)), "linewidth": 1.1, "zorder": 1.5}
        for mean in line.loc[line[x].isna(), "transfer_accuracy"]:
            axes.axhline(mean, color=look.color, label=look.name, **level)


def legend_of_points(figure: Figure, looks: PointLooks, beside: bool = False) -> None:
    """Name every look once: below the axes in one row per group, or to their right in one column per group.

    Below, a group of more than :data:`MOST` continues in the next row; if there are more groups than looks in
    any of them, each group is a column, which makes fewer rows. If that is wider than the figure, looks
    follow one another in as few rows as fit.
    """
    by_group: dict[str, dict[str, Look]] = {}
    for look in looks.values():
        by_group.setdefault(look.group, {})[look.name] = look
    groups = [list(group.values()) for group in by_group.values()]
    if beside or max(map(len, groups)) < len(groups) <= MOST:
        columns: Iterable[Any] = zip(*zip_longest(*groups), strict=True)
    else:
        starts = [(group, start) for group in groups for start in range(0, len(group), MOST)]
        rows = [group[start : start + MOST] for group, start in starts]
        columns = zip_longest(*rows)
    # a legend fills its columns first; blank entries keep the rows aligned
    blank = Line2D([], [], linestyle="none", label="")
    handles = [[look.handle() if look else blank for look in column] for column in columns]
    apart = {"handletextpad": 0.3, "columnspacing": 1.2}
    legend = figure.legend(
        handles=[handle for column in handles for handle in column], ncols=len(handles), frameon=False,
        loc="outside right upper" if beside else "outside lower center", **apart,
    )  # fmt: skip
    if not beside and legend.get_window_extent().width > figure.bbox.width:
        legend.remove()
        _legend_below(figure, [look.handle() for group in groups for look in group], **apart)


def legend_of_lines(figure: Figure, axes: Sequence[Axes]) -> None:
    """Name every labelled line once below the axes, in as few rows as fit the figure's width."""
    handles: dict[str, Line2D] = {}
    for line in [line for ax in axes for line in ax.lines]:
        if not str(line.get_label()).startswith("_"):
            handles.setdefault(str(line.get_label()), line)
    shown = []
    for name, line in handles.items():  # the same looks, wherever the line is on its axes
        handle = Line2D([], [])
        handle.update_from(line)
        handle.set_label(name)
        shown.append(handle)
    _legend_below(figure, shown, columnspacing=1.4, handlelength=2.2)


def _legend_below(figure: Figure, handles: Sequence[Line2D], **apart: Any) -> None:
    """A legend below the axes in as few rows as fit the figure's width."""
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncols=columns, frameon=False, **apart
        )
        if columns == 1 or legend.get_window_extent().width < figure.bbox.width:
            return
        legend.remove()


@contextmanager
def panels_of_lines(
    table: pd.DataFrame,
    style: StyleSettings,
    tall: float,
    legend: float = 0.35,
    narrowest: float = 2.1,
    shape: tuple[int, int] | None = None,
    lowest: float = 1.9,
    **options: Any,
) -> Iterator[tuple[Figure, Panels, int]]:
    """A figure with titled axes for every panel, to draw on; then it gets a legend below and its layout.

    ``table`` holds means over seeds. ``tall`` is the height of axes relative to their width; ``legend``,
    ``narrowest`` and ``lowest`` (width and height of axes) are inches. ``shape`` is the number of rows and
    columns of axes, instead of those from ``narrowest``; ``options`` are those of matplotlib's ``subplots``.

    Yields:
        the figure, axes with their panel's rows, and the number of columns of axes.
    """
    rows, columns = shape or grid(table["panel"].nunique(), style.width, narrowest)
    width = style.width if columns > 1 else min(style.width, max(0.6 * style.width, ONE_COLUMN))
    with new_figure(style, width, max(lowest, tall * width / columns) * rows + legend) as figure:
        drawn = panel_axes(figure, table, (rows, columns), **options)
        yield figure, drawn, columns
        legend_of_lines(figure, figure.axes)
        break_texts(figure, [ax for ax, _ in drawn])
