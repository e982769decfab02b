"""Layer-wise transfer: every unit of a frozen backbone is probed (Fig. 5 of the paper)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.reporting import chain as chains
from nctransfer.reporting import frames
from nctransfer.reporting.diagrams import FROZEN, MAPS, REMOVED, TRAINED, unit_rows
from nctransfer.reporting.diagrams import parts_table as tabulate
from nctransfer.reporting.style import NC1

__all__ = ["draw", "tabulate"]

STAGES = 0.42
DOWN, BAR, CLASSIFIERS = 0.2, 0.24, 0.26


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style).
    """
    style = settings["style"]
    tall = STAGES + chains.TALL + 2 * DOWN + BAR + CLASSIFIERS + 0.14
    with frames.panelled(table, style, lambda _: tall) as (figure, drawn):
        for ax, part, below in drawn:
            _draw_panel(ax, part, frames.room(style), below - STAGES - chains.TALL / 2)
        handles = [
            chains.patch("frozen", FROZEN),
            chains.patch("trained linear classifiers, one a unit", TRAINED),
            *([chains.patch("removed", REMOVED)] if REMOVED in set(table["state"]) else []),
        ]
        chains.show_legend(figure, handles)
    return figure


def _draw_panel(axes: Axes, part: pd.DataFrame, width: float, y: float) -> None:
    """The chain, and below it pooling and a classifier for every unit."""
    chain = chains.place_chain(part, width, y)
    chains.draw_chain(axes, chain, part)
    chains.draw_stages(axes, chain, part, above=True)
    units = unit_rows(part)
    first, last = chain.spans[units["part"].iloc[0]][0], chain.spans[units["part"].iloc[-1]][1]
    bar, below = chain.bottom - DOWN - BAR / 2, chain.bottom - 2 * DOWN - BAR - CLASSIFIERS / 2
    chains.box(axes, first, last, bar, BAR, FROZEN, facecolor="white", edgecolor=chains.PALE)
    for name in units["part"]:
        (left, right), middle = chain.spans[name], chain.middle(name)
        chains.arrow(axes, (middle, chain.bottom), (middle, bar + BAR / 2), chains.INK)
        chains.arrow(axes, (middle, bar - BAR / 2), (middle, below + CLASSIFIERS / 2), chains.INK)
        chains.box(axes, left, right, below, CLASSIFIERS, TRAINED)
    chains.number_units(axes, chain, part, below - CLASSIFIERS / 2)
    maps = part["pooling"].iloc[0] == MAPS
    pooling = "average pooling to 1 \N{MULTIPLICATION SIGN} 1" if maps else "class token, or mean over tokens"
    label = axes.text(
        (first + last) / 2, bar, pooling, ha="center", va="center", fontsize="small", color=chains.INK
    )
    chains.fit(label, last - first - 0.05)
    beside: dict[str, Any] = {"va": "center", "fontsize": "small", "color": chains.INK}
    axes.text(first - 0.08, bar, "features of\nevery unit", ha="right", **beside)
    axes.text(first - 0.08, below, "linear\nclassifiers", ha="right", **beside)
    axes.text(last + 0.08, bar, f"{NC1} on\ntraining data", ha="left", **beside)
    axes.text(last + 0.08, below, "transfer\naccuracy", ha="left", **beside)
