"""The units of a backbone, and which of them are candidates for fine-tuning (Fig. 13 of the paper)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.reporting import chain as chains
from nctransfer.reporting import frames
from nctransfer.reporting.diagrams import FROZEN, REMOVED, TUNED, unit_rows
from nctransfer.reporting.diagrams import parts_table as tabulate

__all__ = ["draw", "tabulate"]

STAGES = 0.42
NAMES, BARS = 0.18, 0.62  # names of modules, their numbers of parameters
LETTER = 0.042  # about the width of one in the name of a module


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers; candidates look as what is fine-tuned does.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style).
    """
    style = settings["style"]
    shown = table.assign(state=table["state"].mask(table["candidate"], TUNED))

    def tall(part: pd.DataFrame) -> float:
        return STAGES + chains.TALL + _names(part, frames.room(style))[0] + BARS + 0.16

    with frames.panelled(shown, style, tall) as (figure, drawn):
        for ax, part, below in drawn:
            _draw_panel(ax, part, frames.room(style), below - STAGES - chains.TALL / 2)
        looks = {"candidate for fine-tuning": TUNED, "not a candidate": FROZEN, "removed": REMOVED}
        states = set(shown["state"])
        handles = [chains.patch(name, state) for name, state in looks.items() if state in states]
        chains.show_legend(figure, handles)
    return figure


def _names(part: pd.DataFrame, width: float) -> tuple[float, bool]:
    """Room for the names of modules, and whether they stand upright; none where there are many units."""
    units = unit_rows(part)
    if len(units) > chains.MANY:
        return NAMES, False
    chain = chains.place_chain(part, width, 0.0)
    left, right = chain.spans[units["part"].iloc[0]]
    longest = LETTER * units["module"].str.len().max()
    return (NAMES, False) if longest < right - left else (longest + 0.08, True)


def _draw_panel(axes: Axes, part: pd.DataFrame, width: float, y: float) -> None:
    """The chain, the modules' names and a bar for the parameters of each."""
    chain = chains.place_chain(part, width, y)
    chains.draw_chain(axes, chain, part)
    chains.draw_stages(axes, chain, part, above=True)
    chains.number_units(axes, chain, part, chain.bottom)
    units = unit_rows(part)
    named, upright = _names(part, width)
    ground = chain.bottom - named - BARS
    highest = max(int(units["parameters"].max()), 1)
    counted = chain.spans["1"][1] - chain.spans["1"][0] > 0.3
    for row in units.to_dict("records"):
        (left, right), middle = chain.spans[row["part"]], chain.middle(row["part"])
        if len(units) <= chains.MANY:
            axes.text(
                middle, chain.bottom - 0.04, row["module"], ha="center", va="top", color=chains.INK,
                fontsize="x-small", rotation=90 if upright else 0,
            )  # fmt: skip
        tall = (BARS - 0.2) * int(row["parameters"]) / highest
        look = {**chains.LOOKS[row["state"]], "linewidth": 0.5}
        axes.bar(middle, tall, right - left, bottom=ground, **look)
        if counted:
            count = axes.text(
                middle, ground + tall + 0.02, thousands(int(row["parameters"])), ha="center", va="bottom",
                color=chains.INK, fontsize="x-small",
            )  # fmt: skip
            chains.fit(count, right - left + 0.08)
    first, last = chain.spans[units["part"].iloc[0]][0], chain.spans[units["part"].iloc[-1]][1]
    axes.plot([first, last], [ground, ground], color=chains.PALE, linewidth=0.7)
    largest = "" if counted else f"\n(up to {thousands(highest)})"
    beside: dict[str, Any] = {"ha": "right", "va": "bottom", "color": chains.INK, "fontsize": "small"}
    axes.text(first - 0.08, ground, f"parameters{largest}", **beside)


def thousands(count: int) -> str:
    """A number of parameters with three digits: 936, 74.0k, 1.18M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}" if count < 1000 * unit else f"{count / unit:,.0f}{name}"
    return str(count)
