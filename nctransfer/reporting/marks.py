"""How points are told apart: a marker and a colour each, and one legend that names them all."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctransfer.reporting.style import COLORS, MARKERS, shades

Point = tuple[str, str]  # series, label

_LEGEND: dict[str, Any] = {"frameon": False, "handletextpad": 0.3, "columnspacing": 1.2}


@dataclass(frozen=True)
class Mark:
    """How a point looks.

    Attributes:
        name: what the legend calls it.
        marker: matplotlib's marker.
        face: colour inside.
        edge: colour of the rim.
        group: marks of one group stand together in the legend.
    """

    name: str
    marker: str
    face: str
    edge: str
    group: str


def marks_of(table: pd.DataFrame) -> dict[Point, Mark]:
    """A mark for every (series, label) of a table of points.

    A series has a marker and a colour, its points the shades of it from light to dark. Where every
    panel holds one series of models of its own, its title says which, and marks tell the labels
    apart instead: the same label has the same mark in all panels.

    Args:
        table: points (:func:`~nctransfer.reporting.points.points_table`).
    """
    apart = table["panel"].nunique() > 1 and (table.groupby("model")["panel"].nunique() == 1).all()
    if apart and (table.groupby("panel")["series"].nunique() == 1).all():
        return by_label(table)
    return _by_series(table[["series", "label"]].drop_duplicates())


def _by_series(points: pd.DataFrame) -> dict[Point, Mark]:
    marks = {}
    for index, (series, part) in enumerate(points.groupby("series", sort=False)):
        color, marker = _look(index)
        for label, shade in zip(part["label"], shades(color, len(part)), strict=True):
            marks[str(series), label] = Mark(f"{series} {label}".strip(), marker, shade, color, str(series))
    return marks


def _look(index: int) -> tuple[str, str]:
    """Colour and marker; the pairs repeat after all of them only."""
    return COLORS[index % len(COLORS)], MARKERS[(index + index // len(COLORS)) % len(MARKERS)]


def by_label(table: pd.DataFrame) -> dict[Point, Mark]:
    """A mark for every (series, label), the same wherever the label is, in the order of the labels."""
    points = table.sort_values("order", kind="stable")[["series", "label"]].drop_duplicates()
    ranks = {label: rank for rank, label in enumerate(dict.fromkeys(points["label"]))}
    return {
        (series, label): Mark(label, _look(ranks[label])[1], _look(ranks[label])[0], "white", "")
        for series, label in zip(points["series"], points["label"], strict=True)
    }


def draw_points(axes: Axes, part: pd.DataFrame, marks: dict[Point, Mark], x: str, y: str) -> None:
    """Draw a panel's points, a path collection each, with bars of one standard deviation over seeds."""
    repeated = part[part["seeds"] > 1]
    axes.errorbar(
        repeated[x],
        repeated[y],
        yerr=repeated[f"{y}_std"],
        fmt="none",
        ecolor="0.5",
        elinewidth=0.7,
        capsize=1.5,
        zorder=2,
    )
    for row in part.to_dict("records"):
        mark = marks[row["series"], row["label"]]
        axes.scatter(
            row[x],
            row[y],
            marker=mark.marker,
            s=30,
            facecolor=[mark.face],
            edgecolor=mark.edge,
            linewidth=0.6,
            zorder=3,
            label=mark.name,
        )


def legend_below(figure: Figure, marks: dict[Point, Mark], most: int = 7) -> None:
    """Name every mark once below the axes, a row a group; with more than ``most`` it goes on in the next.

    Groups that are more than the marks in any of them have a column each: fewer rows.
    """
    groups = [list(group.values()) for group in _groups(marks)]
    columns: list[Any]
    if max(map(len, groups)) < len(groups) <= most:
        columns = list(zip(*zip_longest(*groups), strict=True))
    else:
        rows = [group[start : start + most] for group in groups for start in range(0, len(group), most)]
        columns = list(zip_longest(*rows))  # a legend fills its columns first; blanks keep the rows apart
    handles = [_handle(mark) for column in columns for mark in column]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(columns), **_LEGEND)


def legend_beside(figure: Figure, marks: dict[Point, Mark]) -> None:
    """Name every mark once to the right of the axes, a column a group."""
    columns = [list(group.values()) for group in _groups(marks)]
    filled = zip(*zip_longest(*columns), strict=True)
    handles = [_handle(mark) for column in filled for mark in column]
    figure.legend(handles=handles, loc="outside right upper", ncols=len(columns), **_LEGEND)


def _groups(marks: dict[Point, Mark]) -> list[dict[str, Mark]]:
    """Marks by name, a mapping a group."""
    groups: dict[str, dict[str, Mark]] = {}
    for mark in marks.values():
        groups.setdefault(mark.group, {})[mark.name] = mark
    return list(groups.values())


def _handle(mark: Mark | None) -> Line2D:
    """What stands for a mark in the legend; None leaves a blank."""
    if mark is None:
        return Line2D([], [], linestyle="none", label="")
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=mark.marker,
        markersize=5.5,
        markerfacecolor=mark.face,
        markeredgecolor=mark.edge,
        markeredgewidth=0.6,
        label=mark.name,
    )
