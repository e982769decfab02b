"""Losses and projection heads side by side (Fig. 12 of the paper).

One row of axes per panel: on the left NC1 on the panel's NC1 data set (logarithmic, hence dots, not bars), on
the right the transfer accuracy; one group per series (a loss) with one point per label (a head).
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.reporting.panels import by_panel, new_figure, panel_title
from nctransfer.reporting.points import points_table as tabulate
from nctransfer.reporting.series_style import PointLooks, draw_points, legend_of_points, looks_of_labels
from nctransfer.reporting.settings import FigureSettings, PointsPanel
from nctransfer.reporting.style import NC1, SPLITS, plain_ticks, round_ticks

__all__ = ["SETTINGS", "draw", "tabulate"]

SETTINGS = FigureSettings[PointsPanel]

GROUP = 0.8  # share of a group's width that its points take
NUMBER = 0.36  # inches per number, including its share of the gap between groups


def draw(numbers: pd.DataFrame, settings: FigureSettings[PointsPanel]) -> Figure:
    """Draw the figure from its numbers."""
    style, panels, looks = settings.style, by_panel(numbers), looks_of_labels(numbers)
    with new_figure(style, style.width, 0.36 * style.width * len(panels) + 0.3) as figure:
        axes = figure.subplots(len(panels), 2, squeeze=False)
        for part, (left, right) in zip(panels, axes, strict=True):
            _draw_panel(left, right, part, looks)
            # the title names the downstream data, which the left axes do not show
            right.set_title(panel_title(part, len(panels)), loc="left")
        legend_of_points(figure, looks)
    return figure


def _draw_panel(left: Axes, right: Axes, part: pd.DataFrame, looks: PointLooks) -> None:
    first = part.iloc[0]
    placed = part.assign(place=_places(part))
    left.set_yscale("log")
    _draw_groups(left, placed, "nc1", looks, "{:.3g}")
    _draw_groups(right, placed, "transfer_accuracy", looks, "{:.1f}")
    plain_ticks(left.yaxis)
    round_ticks(right.yaxis)
    left.set_ylabel(f"{NC1} on {first['nc1_dataset']} {SPLITS[first['split']]} data")
    right.set_ylabel("Transfer accuracy (%)")


def _places(part: pd.DataFrame) -> pd.Series:
    """Abscissa of every point: groups at 0, 1, ..., with the points of each spread around it."""
    groups = {series: index for index, series in enumerate(dict.fromkeys(part["series"]))}
    most = part.groupby("series").size().max()
    counts = part.groupby("series")["label"].transform("size")
    offsets = (part["order"] - (counts - 1) / 2) * GROUP / most
    return part["series"].map(groups) + offsets


def _draw_groups(axes: Axes, placed: pd.DataFrame, column: str, looks: PointLooks, digits: str) -> None:
    """Draw a column's points, each with its value above; thin lines separate groups."""
    names = list(dict.fromkeys(placed["series"]))
    slots = len(names) * int(placed.groupby("series").size().max())
    upright = slots * NUMBER > axes.get_window_extent().width / axes.figure.dpi
    draw_points(axes, placed, looks, "place", column)
    for row in placed.to_dict("records"):
        axes.annotate(
            digits.format(row[column]), (row["place"], row.get(f"{column}_high", row[column])), xytext=(0, 4),
            textcoords="offset points", ha="center", va="bottom", fontsize="x-small",
            rotation=90 if upright else 0,
        )  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.5, len(names) - 0.5)
    for border in np.arange(1, len(names)) - 0.5:
        axes.axvline(border, color="0.85", linewidth=0.6, zorder=0)
    axes.margins(y=0.22 if upright else 0.14)
    sns.despine(ax=axes)
