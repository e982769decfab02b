"""Draw a backbone as a chain of boxes: image, stem, units by stage, feature, classifier.

All lengths are inches: a panel's axes have one unit per inch, so that text and boxes fit each other.
"""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.text import Text

from nctransfer.reporting.figures.diagram.parts import (
    ADAPTED,
    CLASSIFIER,
    FROZEN,
    HEAD,
    REMOVED,
    STEM,
    TRAINED,
    TUNED,
    unit_rows,
)
from nctransfer.reporting.style import COLORS
from nctransfer.reporting.tidy_rows import PENULTIMATE

IMAGE, SUM = "image", "sum"
INK, PALE = "0.25", "0.55"
SKIP_COLOR = COLORS[0]
TALL = 0.36  # height of a box
LIFT = 0.28  # distance of paths above boxes
ENDS = {IMAGE: 0.4, STEM: 0.4, PENULTIMATE: 0.64, SUM: 0.19, HEAD: 0.64, CLASSIFIER: 0.64}
ARROW = 0.17  # length of arrows between the ends
MANY = 20  # with more units, everything is closer
WIDEST = 0.6  # largest width of a unit's box
LEAST = 5.0  # points of a text that can be read
NUMBERED = 0.135  # smallest width of a unit's box with a number
BOXES: dict[str, dict[str, Any]] = {
    FROZEN: {"facecolor": "#E3E8EE", "edgecolor": "0.45"},
    TUNED: {"facecolor": COLORS[1], "edgecolor": "0.2"},
    ADAPTED: {"facecolor": "#FBE0CC", "edgecolor": COLORS[1], "linewidth": 1.4},
    REMOVED: {"facecolor": "white", "edgecolor": "0.6", "linestyle": (0, (2.5, 1.8))},
    TRAINED: {"facecolor": COLORS[2], "edgecolor": "0.2"},
}
NAMES = {STEM: "stem", PENULTIMATE: "penultimate\nfeature", HEAD: "source\nhead", CLASSIFIER: "classifier"}
TEXT_COLORS = {TUNED: "white", TRAINED: "white", REMOVED: "0.5"}


@dataclass(frozen=True)
class Chain:
    """Positions of the boxes of a panel."""

    spans: Mapping[str, tuple[float, float]]  # left and right of every box, by part, in order
    y: float  # height of their middles
    units: pd.DataFrame  # rows of the units

    def middle(self, part: str) -> float:
        """Horizontal middle of a box."""
        left, right = self.spans[part]
        return (left + right) / 2

    @property
    def top(self) -> float:
        """Upper edge of the boxes."""
        return self.y + TALL / 2

    @property
    def bottom(self) -> float:
        """Lower edge of the boxes."""
        return self.y - TALL / 2

    @property
    def ends(self) -> tuple[float, float]:
        """Left of the first unit and right of the last."""
        return self.spans[self.units["part"].iloc[0]][0], self.spans[self.units["part"].iloc[-1]][1]

    @property
    def numbered(self) -> bool:
        """Whether units are wide enough for their numbers."""
        left, right = self.spans[self.units["part"].iloc[0]]
        return right - left >= NUMBERED


def place_chain(part: pd.DataFrame, width: float, y: float) -> Chain:
    """Place a panel's boxes, the (source) head last, within a width, their middles at ``y`` (inches)."""
    units, names = unit_rows(part), set(part["part"])
    last = CLASSIFIER if CLASSIFIER in names else HEAD
    behind = [PENULTIMATE, *([SUM] if part["skip"].any() else []), *([last] if last in names else [])]
    scale, inner, outer = (0.9, 0.02, 0.06) if len(units) > MANY else (1.0, 0.05, 0.13)
    arrow = ARROW * scale
    ends = sum(scale * ENDS[name] for name in (IMAGE, STEM, *behind)) + arrow * (len(behind) + 2)
    gaps = [outer if new else inner for new in (units["stage"].diff().fillna(0) != 0).tolist()]
    gaps[0] = 0.0
    each = min((width - ends - sum(gaps)) / len(units), WIDEST)
    start = max((width - ends - sum(gaps) - each * len(units)) / 2, 0.0)
    boxes = [(IMAGE, 0.0, scale * ENDS[IMAGE]), (STEM, arrow, scale * ENDS[STEM])]
    boxes += [(str(name), gap, each) for name, gap in zip(units["part"], [arrow, *gaps[1:]], strict=True)]
    boxes += [(name, arrow, scale * ENDS[name]) for name in behind]
    spans: dict[str, tuple[float, float]] = {}
    for name, room, wide in boxes:
        spans[name] = (start + room, start + room + wide)
        start = spans[name][1]
    return Chain(spans, y, units)


def draw_chain(axes: Axes, chain: Chain, part: pd.DataFrame) -> None:
    """Draw boxes, their names and the arrows between them."""
    states = dict(zip(part["part"], part["state"], strict=True))
    numbers: list[Text] = []
    for name, (left, right) in chain.spans.items():
        middle = chain.middle(name)
        if name == SUM:
            radius = (right - left) / 2
            axes.add_patch(Circle((middle, chain.y), radius, facecolor="white", edgecolor=SKIP_COLOR))
            axes.text(middle, chain.y - 0.005, "+", ha="center", va="center", color=SKIP_COLOR)
        elif name == IMAGE:
            write(axes, middle, chain.y, "image")
        else:
            draw_box(axes, left, right, chain.y, TALL, states[name])
            if name in NAMES or right - left >= NUMBERED:
                color = TEXT_COLORS.get(states[name], INK)
                label = write(axes, middle, chain.y, NAMES.get(name, name), color=color, linespacing=1.05)
                if fit(label, right - left - 0.03) and name not in NAMES:
                    numbers.append(label)
    for label in numbers:
        label.set_fontsize(min(other.get_fontsize() for other in numbers))
    order = list(chain.spans)
    for before, after in pairwise(name for name in order if states.get(name) != REMOVED):
        left, right = chain.spans[before][1], chain.spans[after][0]
        if order.index(after) - order.index(before) > 1:  # over removed parts between them
            start, end = (chain.middle(before), chain.top), (chain.middle(after), chain.top)
            draw_over(axes, [start], end, chain.top + LIFT, INK)
        elif right - left > 0.09:
            draw_arrow(axes, (left + 0.01, chain.y), (right - 0.01, chain.y), INK)
        else:  # too short for an arrow head
            axes.plot([left, right], [chain.y, chain.y], color=INK, linewidth=0.8, zorder=1.5)


def write(axes: Axes, x: float, y: float, text: str, **look: Any) -> Text:
    """Write a small text around a point, with this look by default."""
    look = {"ha": "center", "va": "center", "color": INK, "fontsize": "small", **look}
    return axes.text(x, y, text, **look)


def draw_box(axes: Axes, left: float, right: float, y: float, tall: float, state: str, **look: Any) -> None:
    """Draw a box with rounded corners in the look of its state."""
    corner = min(0.035, (right - left) / 4)
    style = f"round,pad=0,rounding_size={corner}"
    look = {"linewidth": 0.6, "zorder": 2, **BOXES[state], **look}
    axes.add_patch(FancyBboxPatch((left, y - tall / 2), right - left, tall, boxstyle=style, **look))


def draw_arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str) -> None:
    """Draw a straight arrow."""
    head = "-|>,head_width=0.12,head_length=0.25"
    look: dict[str, Any] = {"arrowstyle": head, "color": color, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=look, zorder=1.5)


def draw_over(
    axes: Axes, starts: Iterable[tuple[float, float]], end: tuple[float, float], y: float, color: str
) -> None:
    """Draw a path from above some boxes, along a line at height ``y``, down to another box."""
    look: dict[str, Any] = {"color": color, "linewidth": 1.1, "solid_joinstyle": "round", "zorder": 1}
    for x, bottom in starts:
        axes.plot([x, x, end[0]], [bottom, y, y], **look)
    draw_arrow(axes, (end[0], y), end, color)


def label_path(axes: Axes, text: str, start: float, end: float, y: float, color: str) -> None:
    """Label a path in as few lines as its length requires; else to its left."""
    shapes = (text, text.replace(", ", ",\n"), textwrap.fill(text, 16))
    for shape in shapes:
        label = write(axes, (start + end) / 2, y, shape, color=color, zorder=3, linespacing=1.05)
        label.set_bbox({"facecolor": "white", "edgecolor": color, "linewidth": 0.6, "pad": 1.6})
        wide = inches(label) + 0.08
        if wide < end - start - 0.08:
            return
        if shape is not shapes[-1]:
            label.remove()
    label.set(x=start - 0.06 - wide / 2)


def draw_stages(axes: Axes, chain: Chain, part: pd.DataFrame, above: bool) -> None:
    """Write widths beside the boxes, one per stage under a bracket, and names of stages if all fit."""
    sign, edge = (1, chain.top) if above else (-1, chain.bottom)
    line = edge + sign * (0.07 if above or chain.numbered else 0.17)
    tick, side = sign * 0.03, "bottom" if above else "top"
    near, far = line + sign * 0.035, line + sign * 0.155
    labels, fitting = [], True
    for name, stage in stage_names(chain.units).items():
        rows = chain.units[chain.units["stage"] == stage]
        left, right = chain.spans[rows["part"].iloc[0]][0], chain.spans[rows["part"].iloc[-1]][1]
        corners = [line - tick, line, line, line - tick]
        axes.plot([left, left, right, right], corners, color=PALE, linewidth=0.7)
        middle, room = (left + right) / 2, right - left + 0.08
        fit(write(axes, middle, near, str(rows["width"].iloc[0]), va=side), room)
        labels.append(write(axes, middle, far, name.partition(":")[0], va=side))
        fitting &= inches(labels[-1]) < max(room, 0.3)
    if not fitting:
        for label in labels:
            label.remove()
    widths = part.set_index("part")["width"]
    for name in (STEM, PENULTIMATE):
        write(axes, chain.middle(name), near, str(widths[name]), va=side)
    write(axes, chain.middle(IMAGE), near, "width", va=side, color=PALE)
    if fitting:
        write(axes, chain.middle(IMAGE), far, "stage", va=side, color=PALE)


def stage_names(units: pd.DataFrame) -> dict[str, int]:
    """Names of the stages: the module that contains only this stage's units, or the first and last unit."""
    parents = units["module"].str.rpartition(".")[0]
    shared = {parent: set(units.loc[parents == parent, "stage"]) for parent in parents}
    names: dict[str, int] = {}
    for stage in units["stage"].unique():
        rows = units[units["stage"] == stage]
        parent = parents[rows.index[0]]
        if parent and len(shared[parent]) == 1 and set(parents[rows.index]) == {parent}:
            name = parent
        else:
            ends = [path.rpartition(".")[2] for path in (rows["module"].iloc[0], rows["module"].iloc[-1])]
            name = "\N{EN DASH}".join(dict.fromkeys(ends))
        names[f"{name}:{stage}"] = int(stage)  # names may be equal
    return names


def number_units(axes: Axes, chain: Chain, y: float) -> None:
    """Number some units below a height, if their boxes are too narrow for numbers."""
    if chain.numbered:
        return
    units, marked = chain.units, set[str]()
    if units["state"].nunique() > 1:
        marked = set(units.loc[units["state"].isin((TUNED, ADAPTED)), "part"])
    steps = {str(number) for number in range(5, len(units) + 1, 5)} | {"1"}
    near = {str(int(part) + offset) for part in marked for offset in (-2, -1, 1, 2)}
    for name in sorted((steps - near) | marked, key=int):
        color = COLORS[1] if name in marked else PALE
        write(axes, chain.middle(name), y - 0.03, name, va="top", color=color, fontsize="x-small")


def fit(text: Text, room: float) -> bool:
    """Shrink a text to its room, in inches; remove it if it would be too small to read."""
    wide = inches(text)
    if wide > room:
        size = float(text.get_fontsize()) * room / wide
        if size < LEAST:
            text.remove()
            return False
        text.set_fontsize(size)
    return True


def inches(text: Text) -> float:
    """Width of a text in inches."""
    figure = text.get_figure(root=True)
    assert isinstance(figure, Figure)
    return float(text.get_window_extent().width / figure.dpi)
