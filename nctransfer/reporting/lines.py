"""How methods of fine-tuning are told apart in every figure: a colour and a marker each, one legend."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctransfer.reporting.runs import METHODS, UNTRAINED
from nctransfer.reporting.style import COLORS, MARKERS, grid, new_figure, panel_title, styled

DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
SIZES = {"p": 5.5, "*": 7}  # markers that look smaller than they are
GREY = "0.45"  # of zero-shot, which is no training


@dataclass(frozen=True)
class Look:
    """How the line of a series looks.

    Attributes:
        name: what the legend calls it.
        color: colour, that of the method.
        marker: matplotlib's marker, that of the method for its first series.
        dashes: matplotlib's line style; tells series of one method apart.
    """

    name: str
    color: str
    marker: str
    dashes: Any

    def plot_style(self) -> dict[str, Any]:
        """Arguments of matplotlib's ``plot``."""
        return {
            "label": self.name,
            "color": self.color,
            "marker": self.marker,
            "markersize": SIZES.get(self.marker, 4),
            "linestyle": self.dashes,
            "markeredgecolor": "white",
            "markeredgewidth": 0.4,
        }


def looks_of(table: pd.DataFrame) -> dict[str, Look]:
    """A look for every name of a table, in the order of its rows.

    Args:
        table: means over seeds (:func:`~nctransfer.reporting.runs.over_seeds`).
    """
    series = table.drop_duplicates("name")[["name", "method"]]
    order = list(dict.fromkeys([*METHODS, *series["method"]]))
    nth: dict[str, int] = {}
    looks = {}
    for name, method in series.itertuples(index=False):
        nth[method] = nth.get(method, -1) + 1
        color, marker = method_look(order.index(method))
        turns, dashes = divmod(nth[method], len(DASHES))
        if turns:  # all dashes are taken
            marker = MARKERS[(MARKERS.index(marker) + turns) % len(MARKERS)]
        looks[name] = Look(name, color, marker, DASHES[dashes])
    return looks


def method_look(place: int) -> tuple[str, str]:
    """Colour and marker of the method at a place of the order; past the end the pairs are new."""
    if place == list(METHODS).index(UNTRAINED):
        return GREY, MARKERS[-1]
    return COLORS[place % len(COLORS)], MARKERS[(place + place // len(COLORS)) % len(MARKERS)]


def draw_mean(axes: Axes, x: pd.Series, part: pd.DataFrame, value: str, look: Mapping[str, Any]) -> None:
    """Draw means as a line, with bars of one standard deviation where there are several seeds.

    Args:
        axes: axes to draw on.
        x: abscissas, (n,).
        part: means and their spread (``value``, ``<value>_std``, ``seeds``), n rows.
        value: column that is drawn.
        look: arguments of matplotlib's ``plot``.
    """
    axes.plot(x.to_numpy(float), part[value].to_numpy(float), **look)
    many = (part["seeds"] > 1).to_numpy()
    axes.errorbar(
        x.to_numpy(float)[many],
        part[value].to_numpy(float)[many],
        yerr=part[f"{value}_std"].to_numpy(float)[many],
        fmt="none",
        ecolor=look["color"],
        elinewidth=0.7,
        capsize=1.5,
        capthick=0.7,
    )


def draw_level(axes: Axes, mean: float, look: Look) -> None:
    """Draw what has no place on the abscissa as a dashed line across the axes."""
    axes.axhline(mean, color=look.color, linestyle=(0, (5, 2.5)), linewidth=1.1, zorder=1.5, label=look.name)


def legend_of_lines(figure: Figure, axes: Sequence[Axes]) -> None:
    """Name every labelled line of the axes once below them, in as few rows as the figure's width takes."""
    handles: dict[str, Line2D] = {}
    for ax in axes:
        for line in ax.lines:
            if not str(line.get_label()).startswith("_"):
                handles.setdefault(str(line.get_label()), line)
    for columns in range(len(handles), 0, -1):
        legend = figure.legend(
            handles=[_handle(line) for line in handles.values()],
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            columnspacing=1.4,
            handlelength=2.2,
        )
        if columns == 1 or legend.get_window_extent().width < figure.bbox.width:
            return
        legend.remove()


def _handle(line: Line2D) -> Line2D:
    """A line that looks the same in the legend, wherever it stands on its axes."""
    handle = Line2D([], [])
    handle.update_from(line)
    handle.set_label(str(line.get_label()))
    return handle


def panel_axes(
    figure: Figure, table: pd.DataFrame, rows: int, columns: int, **options: Any
) -> list[tuple[Axes, pd.DataFrame]]:
    """Axes for every panel of a table with its rows, titled; those that are left over are removed."""
    panels = [part for _, part in table.groupby("panel", sort=False)]
    axes = list(figure.subplots(rows, columns, squeeze=False, **options).flat)
    for spare in axes[len(panels) :]:
        spare.remove()
    for ax, part in zip(axes, panels, strict=False):
        ax.set_title(panel_title(part, len(panels)), loc="left")
    return list(zip(axes, panels, strict=False))


@contextmanager
def panelled(
    table: pd.DataFrame, style: Mapping[str, Any], tall: float, legend: float = 0.35, narrowest: float = 2.1
) -> Iterator[tuple[Figure, list[tuple[Axes, pd.DataFrame]], int]]:
    """A figure with titled axes for every panel, to be drawn on; then a legend below and the layout.

    Args:
        table: means over seeds.
        style: the style of the config, which holds meanwhile.
        tall: height of axes, as a share of their width.
        legend: inches for the legend.
        narrowest: width of axes in inches from which on they share a row.

    Yields:
        the figure, axes with their panel's rows, and how many columns of axes there are.
    """
    rows, columns = grid(table["panel"].nunique(), style["width"], narrowest)
    width = style["width"] if columns > 1 else 0.6 * style["width"]
    with styled(style):
        figure = new_figure(width, tall * width / columns * rows + legend)
        drawn = panel_axes(figure, table, rows, columns)
        yield figure, drawn, columns
        legend_of_lines(figure, figure.axes)
        finish(figure, [ax for ax, _ in drawn])


def finish(figure: Figure, axes: Sequence[Axes]) -> None:
    """Lay the figure out and break titles that are wider than their axes; while the style holds."""
    figure.draw_without_rendering()
    for ax in axes:
        title = ax.set_title(ax.get_title(loc="left"), loc="left")
        room, width = ax.get_window_extent().width, title.get_window_extent().width
        if width > room:
            text = title.get_text()
            title.set_text(textwrap.fill(text, max(1, int(len(text) * room / width)), break_long_words=False))
    figure.draw_without_rendering()
