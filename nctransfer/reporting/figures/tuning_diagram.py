"""What a fine-tuning method does to a backbone: Layer FT and SCL FT (Fig. 6 of the paper)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.reporting import chain as chains
from nctransfer.reporting import frames
from nctransfer.reporting.diagrams import (
    ADAPTED,
    CLASSIFIER,
    HEAD,
    MAPS,
    REMOVED,
    TUNED,
    in_words,
    unit_rows,
)
from nctransfer.reporting.diagrams import parts_table as tabulate
from nctransfer.reporting.points import PENULTIMATE
from nctransfer.reporting.runs import ALL_UNITS

__all__ = ["draw", "tabulate"]

OVER, STAGES, CAPTION = 0.46, 0.46, 0.24
POOLINGS = {
    MAPS: "average pooling to 1 \N{MULTIPLICATION SIGN} 1",
    "cls": "class token",
    "token_mean": "mean over tokens",
    "patch_mean": "mean over patches",
}


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style).
    """
    style = settings["style"]

    def tall(part: pd.DataFrame) -> float:
        return _over(part) + chains.TALL + STAGES + CAPTION

    with frames.panelled(table, style, tall) as (figure, drawn):
        for ax, part, below in drawn:
            _draw_panel(ax, part, frames.room(style), below - _over(part) - chains.TALL / 2)
        chains.legend(figure, table)
    return figure


def _over(part: pd.DataFrame) -> float:
    """Room above the boxes for what passes over them."""
    passed = (unit_rows(part)["state"] == REMOVED).any()
    return OVER if part["skip"].any() or passed else 0.08


def _draw_panel(axes: Axes, part: pd.DataFrame, width: float, y: float) -> None:
    """The chain, the skip connection above it, stages and numbers of parameters below."""
    chain = chains.place_chain(part, width, y)
    chains.draw_chain(axes, chain, part)
    chains.draw_stages(axes, chain, part, above=False)
    chains.number_units(axes, chain, part, chain.bottom)
    if part["skip"].any():
        _draw_skip(axes, chain, part)
    if (
        part.set_index("part")["state"][PENULTIMATE] == REMOVED
    ):  # the last unit's pooled output is the feature
        start = chain.middle(unit_rows(part).loc[unit_rows(part)["state"] != REMOVED, "part"].iloc[-1])
        end, line = chain.middle(CLASSIFIER), chain.top + chains.LIFT
        chains.label_path(axes, POOLINGS[MAPS], start, end, line, chains.INK)
    if HEAD in set(part["part"]):
        left, right = chain.spans[CLASSIFIER]
        below = chain.bottom - 0.27
        chains.box(axes, left, right, below, 0.26, REMOVED)
        name = axes.text(
            (left + right) / 2, below, "source head", ha="center", va="center", fontsize="small",
            color=chains.TEXT[REMOVED],
        )  # fmt: skip
        chains.fit(name, right - left - 0.04)
    caption = axes.text(
        width / 2,
        0.13,
        caption_of(part),
        ha="center",
        va="center",
        fontsize="small",
        color=chains.INK,
    )
    chains.fit(caption, width)


def _draw_skip(axes: Axes, chain: chains.Chain, part: pd.DataFrame) -> None:
    """The path from the tuned units' outputs to the sum that the classifier sees."""
    line, end = chain.top + chains.LIFT, chain.middle(chains.SUM)
    starts = [(chain.middle(name), chain.top) for name in part.loc[part["skip"], "part"]]
    chains.over(axes, starts, (end, chain.y + chains.ENDS[chains.SUM] / 2), line, chains.SKIP_COLOR)
    chains.label_path(axes, skip_label(part), starts[-1][0], end, line, chains.SKIP_COLOR)


def skip_label(part: pd.DataFrame) -> str:
    """What happens to a tuned unit's output on its way to the sum."""
    pooling = POOLINGS.get(part["pooling"].iloc[0], str(part["pooling"].iloc[0]))
    widths, full = part.loc[part["skip"], "width"], part.set_index("part")["width"][PENULTIMATE]
    narrow = sorted(set(widths[widths < full]))
    if not narrow:
        return pooling
    padded = f"{narrow[0]} → {full}" if len(narrow) == 1 and (widths < full).all() else f"to {full}"
    return f"{pooling}, zero-padding {padded}"


def caption_of(part: pd.DataFrame) -> str:
    """What trains, in numbers."""
    first, head = part.iloc[0], part.set_index("part").loc[CLASSIFIER]
    tuned = unit_rows(part)[unit_rows(part)["state"].isin((TUNED, ADAPTED))]
    classes: list[str] = [] if pd.isna(head["width"]) else [f"{head['width']} classes of {first['dataset']}"]
    own: list[str] = [] if pd.isna(head["trained"]) else [f"{head['trained']:,}"]
    classifier = ("MLP" if head["type"] == "MLP" else "classifier") + _bracketed([*classes, *own])
    if first["method"] == ALL_UNITS:
        trained = ["all of the network"]
    elif len(tuned):
        module = [tuned["module"].iloc[0]] if len(tuned) == 1 else []
        count = [] if tuned["trained"].isna().any() else [f"{tuned['trained'].sum():,} parameters"]
        adapters = "adapters of " if (tuned["state"] == ADAPTED).any() else ""
        trained = [f"{adapters}{in_words(list(tuned['part']))}{_bracketed([*module, *count])}"]
    else:
        trained = []
    text = f"Trained: {' + '.join([*trained, classifier])}"
    return (
        text if pd.isna(first["share"]) else f"{text} = {first['share']:.2f} % of {first['all_parameters']:,}"
    )


def _bracketed(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""
