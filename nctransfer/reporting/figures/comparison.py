"""Losses and projection heads side by side (Fig. 12 of the paper).

A row of axes a panel: on the left NC1 on the data set that the panel names (logarithmic, so dots and not
bars), on the right the transfer accuracy; a group a series (a loss), in it a mark a label (a head).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.reporting.marks import Mark, Point, by_label, draw_points, legend_below
from nctransfer.reporting.points import Tables, points_table
from nctransfer.reporting.style import NC1, SPLITS, new_figure, panel_title, plain_ticks, round_ticks, styled

GROUP = 0.8  # share of a group's room that its marks take
NUMBER = 0.3  # inches that a number takes, its share of the gap between groups included


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel and point.

    Args:
        settings: the figure's settings (panels, learning rate, weight decay).
        tables: tidy tables by (name, model, view): ``metrics`` and ``probes`` of every point.

    Returns:
        the columns of :func:`~nctransfer.reporting.points.points_table`.

    Raises:
        DegenerateInputError: a point has no NC1 or no accuracy.
    """
    return points_table(settings, tables)


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style).
    """
    style = settings["style"]
    panels = list(table.groupby("panel", sort=True))
    with styled(style):
        marks = by_label(table)
        figure = new_figure(style["width"], 0.36 * style["width"] * len(panels) + 0.3)
        axes = figure.subplots(len(panels), 2, squeeze=False)
        for (_, part), (left, right) in zip(panels, axes, strict=True):
            _draw_panel(left, right, part, marks)
            # the title names the downstream data, which the left axes do not show
            right.set_title(panel_title(part, len(panels)), loc="left")
        legend_below(figure, marks)
        figure.draw_without_rendering()  # fonts and ticks are set while the style holds
    return figure


def _draw_panel(left: Axes, right: Axes, part: pd.DataFrame, marks: dict[Point, Mark]) -> None:
    """NC1 on the left, transfer accuracy on the right."""
    first = part.iloc[0]
    placed = part.assign(place=_places(part), nc1_std=0.0)
    left.set_yscale("log")
    for axes, column, digits in ((left, "nc1", "{:.3g}"), (right, "transfer_accuracy", "{:.1f}")):
        _draw_groups(axes, placed, column, marks, digits)
    plain_ticks(left.yaxis)
    round_ticks(right.yaxis)
    left.set_ylabel(f"{NC1} on {first['nc1_dataset']} {SPLITS[first['split']]} data")
    right.set_ylabel("Transfer accuracy (%)")


def _places(part: pd.DataFrame) -> pd.Series:
    """Abscissa of every point: groups at 0, 1, ..., the points of each spread about it."""
    groups = {series: index for index, series in enumerate(dict.fromkeys(part["series"]))}
    most = part.groupby("series").size().max()
    counts = part.groupby("series")["label"].transform("size")
    offsets = (part["order"] - (counts - 1) / 2) * GROUP / most
    return part["series"].map(groups) + offsets


def _draw_groups(
    axes: Axes, placed: pd.DataFrame, column: str, marks: dict[Point, Mark], digits: str
) -> None:
    """Draw a column's points, each with its value above, groups parted by thin lines."""
    names = list(dict.fromkeys(placed["series"]))
    slots = len(names) * int(placed.groupby("series").size().max())
    upright = slots * NUMBER > axes.get_window_extent().width / axes.figure.dpi
    draw_points(axes, placed, marks, "place", column)
    for row in placed.to_dict("records"):
        axes.annotate(
            digits.format(row[column]),
            (row["place"], row[column] + row[f"{column}_std"]),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize="x-small",
            rotation=90 if upright else 0,
        )
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(names) - 0.5)
    for border in np.arange(1, len(names)) - 0.5:
        axes.axvline(border, color="0.85", linewidth=0.6, zorder=0)
    axes.margins(y=0.22 if upright else 0.14)
    sns.despine(ax=axes)
