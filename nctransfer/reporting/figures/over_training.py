"""Collapse over the epochs of a pre-training (Papyan, Han and Donoho 2020).

Axes for each panel, a pre-training: NC1 and NC2 of the penultimate feature on the source training
data, NC3 and NC4 of the network's own classifier where it has one, and loss and accuracy.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.points import PENULTIMATE, Tables
from nctransfer.reporting.style import COLORS, NC1, grid, letter, new_figure, panel_title, plain_ticks, styled

SPLIT = "train"
QUANTITIES = {
    "metrics": ("nc1", "nc1_shuffled", "nc2_equinorm", "nc2_equiangle"),
    "head_metrics": ("nc3", "nc4"),
    "history": ("loss", "accuracy"),
}
SIZES = ("samples", "classes", "width", "rank")
# what stands on each axes: its label and the lines on it
AXES = {
    NC1: {"nc1": NC1},
    r"$\mathcal{NC}_2$": {"nc2_equinorm": "equal norms", "nc2_equiangle": "equal angles"},
    r"$\mathcal{NC}_3$": {"nc3": "self-duality"},
    r"$\mathcal{NC}_4$": {"nc4": "disagreement with the nearest mean"},
    "Loss": {"loss": "loss"},
    "Accuracy (%)": {"accuracy": "accuracy"},
}
SPLIT_COLORS = {"train": COLORS[0], "test": COLORS[1]}
IMAGE_DASHES = {"clean": "-", "adversarial": "--"}


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel, epoch and quantity.

    Args:
        settings: panels (title, view, model, snapshots of epoch and model).
        tables: tidy tables by (name, model, view): ``metrics`` of every snapshot on the panel's
            view, ``head_metrics`` of those that kept their head, and ``history`` of the panel's
            model (its view is empty).

    Returns:
        panel, title, model, view, snapshot, epoch, quantity, split, images, value, and samples, classes,
        width and rank of what was measured on features.

    Raises:
        DegenerateInputError: a snapshot has no NC1; panel and snapshot are named.
    """
    parts = []
    for index, panel in enumerate(settings["panels"]):
        rows = [_measured(panel, snapshot, tables) for snapshot in panel["snapshots"]]
        table = pd.concat([*rows, _trained(tables["history", panel["model"], ""])], ignore_index=True)
        for place, (column, value) in enumerate(
            {
                "panel": letter(index),
                "title": panel["title"],
                "model": panel["model"],
                "view": panel["view"],
            }.items()
        ):
            table.insert(place, column, value)
        parts.append(table)
    table = pd.concat(parts, ignore_index=True)
    return table.astype(dict.fromkeys(SIZES, "Int64"))


def _measured(panel: Mapping[str, Any], snapshot: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Collapse of a snapshot."""
    found = []
    for name in ("metrics", "head_metrics"):
        key = name, snapshot["model"], panel["view"]
        if name == "head_metrics" and key not in tables:
            continue  # its head was dropped
        table = tables[key]
        chosen = table[
            (table["module"] == PENULTIMATE)
            & (table["split"] == SPLIT)
            & table["metric"].isin(QUANTITIES[name])
        ]
        if name == "metrics" and "nc1" not in set(chosen["metric"]):
            raise DegenerateInputError(
                f"panel {panel['title']!r}, snapshot {snapshot['model']!r}: the metrics have no nc1 of the "
                f"penultimate feature, {SPLIT} split; there are: {', '.join(chosen['metric']) or 'none'}"
            )
        found.append(chosen)
    rows = pd.concat(found)[["metric", "split", "value", *SIZES]].rename(columns={"metric": "quantity"})
    return rows.assign(snapshot=snapshot["model"], epoch=snapshot["epoch"], images="clean")[
        ["snapshot", "epoch", "quantity", "split", "images", "value", *SIZES]
    ]


def _trained(history: pd.DataFrame) -> pd.DataFrame:
    """Loss and accuracy, long form; an accuracy that has no value yet has no row."""
    long = history.melt(
        id_vars=["epoch", "split", "images"], value_vars=list(QUANTITIES["history"]), var_name="quantity"
    )
    return long.dropna(subset="value")


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style).
    """
    style = settings["style"]
    there = set(table["quantity"])
    drawn = {label: lines for label, lines in AXES.items() if there & set(lines)}
    rows, columns = grid(len(drawn), style["width"])
    panels = list(table.groupby("panel", sort=True))
    with styled(style):
        figure = new_figure(style["width"], (0.7 * style["width"] / columns) * rows * len(panels))
        axes = figure.subplots(rows * len(panels), columns, squeeze=False)
        for index, (_, part) in enumerate(panels):
            block = axes[index * rows : (index + 1) * rows].ravel()
            block[0].set_title(panel_title(part, len(panels)), loc="left")
            for ax, (label, lines) in zip(block, drawn.items(), strict=False):
                _draw_axes(ax, part[part["quantity"].isin(lines)], label, lines)
            for spare in block[len(drawn) :]:
                spare.remove()
        figure.draw_without_rendering()  # fonts and ticks are set while the style holds
    return figure


def _draw_axes(axes: Axes, part: pd.DataFrame, label: str, lines: Mapping[str, str]) -> None:
    """Draw the lines of one axes over epochs; an axes without any says so."""
    trained = set(part["quantity"]) <= set(QUANTITIES["history"])
    for key, line in part.groupby(["quantity", "split", "images"], sort=False):
        quantity, split, images = map(str, key)
        line = line.sort_values("epoch")
        if trained:
            look: dict[str, Any] = {
                "color": SPLIT_COLORS.get(split, COLORS[2]),
                "linestyle": IMAGE_DASHES[images],
            }
            name = split if images == "clean" else f"{split}, {images}"
        else:
            place = list(lines).index(quantity)
            look = {"color": COLORS[2 * place], "marker": "os"[place], "markeredgecolor": "white"}
            name = lines[quantity]
        axes.plot(line["epoch"], line["value"], label=name, **look)
    if part.empty:
        axes.set_axis_off()
        note = f"no {label}:\nno classifier"
        axes.text(0.5, 0.5, note, transform=axes.transAxes, ha="center", va="center", color="0.4")
        return
    if label == NC1 and (part["value"] > 0).all():
        axes.set_yscale("log")
        plain_ticks(axes.yaxis)
    if len(axes.lines) > 1:
        axes.legend(frameon=False, loc="best")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Epoch")
    axes.set_ylabel(label)
    sns.despine(ax=axes)
