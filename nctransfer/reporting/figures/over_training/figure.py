"""Collapse over the epochs of a pre-training (Papyan, Han and Donoho 2020).

The axes of each panel (a pre-training) show NC1 and NC2 of the penultimate feature on the source training
data, NC3 and NC4 of the network's own classifier if it has one, and loss and accuracy.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nctransfer.reporting.panels import by_panel, grid, led_by, letter, new_figure, panel_title
from nctransfer.reporting.settings import FigureSettings, Snapshot, SnapshotsPanel
from nctransfer.reporting.style import COLORS, NC1, plain_ticks
from nctransfer.reporting.tidy_rows import SIZES, Tables, penultimate_metrics

SETTINGS = FigureSettings[SnapshotsPanel]

SPLIT = "train"
QUANTITIES = {
    "metrics": ("nc1", "nc1_shuffled", "nc2_equinorm", "nc2_equiangle"),
    "head_metrics": ("nc3", "nc4"),
    "history": ("loss", "accuracy"),
}
# label of each axes, and its quantities with their names in the legend
AXES = {
    NC1: {"nc1": NC1},
    r"$\mathcal{NC}_2$": {"nc2_equinorm": "equal norms", "nc2_equiangle": "equal angles"},
    r"$\mathcal{NC}_3$": {"nc3": "self-duality"},
    r"$\mathcal{NC}_4$": {"nc4": "disagreement with the nearest mean"},
    "Loss": {"loss": "loss"},
    "Accuracy (%)": {"accuracy": "accuracy"},
}
SPLIT_COLORS = {"train": COLORS[0], "test": COLORS[1]}
IMAGE_DASHES = {"clean": "-", "augmented": "-", "adversarial": "--"}


def tabulate(settings: FigureSettings[SnapshotsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel, epoch and quantity.

    ``tables`` has ``metrics`` of every snapshot on the panel's view, ``head_metrics`` of those that kept
    their head, and ``history`` of the panel's model (no view).

    Returns:
        panel, title, model, view, snapshot, epoch, quantity, split, images, value, and samples, classes,
        width and rank for quantities of features.

    Raises:
        DegenerateInputError: a snapshot has no NC1; the message names panel and snapshot.
    """
    parts = []
    for index, panel in enumerate(settings.panels):
        rows = [_measured(panel, snapshot, tables) for snapshot in panel.snapshots]
        # loss and accuracy in long form; an accuracy that has no value yet has no row
        history = tables["history", panel.model, ""]
        # those of the finished network are no line: every picture has them as its source's accuracy
        history = history[(history["split"] != "train") | (history["images"] != "clean")].melt(
            ["epoch", "split", "images"], list(QUANTITIES["history"]), var_name="quantity"
        )
        table = pd.concat([*rows, history.dropna(subset="value")], ignore_index=True)
        of_panel = panel.model_dump(include={"title", "model", "view"})
        parts.append(led_by(table, panel=letter(index), **of_panel))
    return pd.concat(parts, ignore_index=True).astype(dict.fromkeys(SIZES, "Int64"))


def _measured(panel: SnapshotsPanel, snapshot: Snapshot, tables: Tables) -> pd.DataFrame:
    name = f"panel {panel.title!r}, snapshot {snapshot.model!r}"
    rows = penultimate_metrics(tables["metrics", snapshot.model, panel.view], SPLIT, name)
    parts = [rows[rows["metric"].isin(QUANTITIES["metrics"])]]
    heads = tables.get(("head_metrics", snapshot.model, panel.view))
    if heads is not None:  # the head was kept
        rows = penultimate_metrics(heads, SPLIT, name, needed=())
        parts.append(rows[rows["metric"].isin(QUANTITIES["head_metrics"])])
    table = pd.concat(parts).rename(columns={"metric": "quantity"})
    table = table.assign(snapshot=snapshot.model, epoch=snapshot.epoch, images="clean")
    return table[["snapshot", "epoch", "quantity", "split", "images", "value", *SIZES]]


def draw(numbers: pd.DataFrame, settings: FigureSettings[SnapshotsPanel]) -> Figure:
    """Draw the figure from its numbers."""
    style, panels, quantities = settings.style, by_panel(numbers), set(numbers["quantity"])
    drawn = {label: lines for label, lines in AXES.items() if quantities & set(lines)}
    rows, columns = grid(len(drawn), style.width)
    with new_figure(style, style.width, (0.7 * style.width / columns) * rows * len(panels)) as figure:
        axes = figure.subplots(rows * len(panels), columns, squeeze=False)
        for index, part in enumerate(panels):
            block = axes[index * rows : (index + 1) * rows].ravel()
            block[0].set_title(panel_title(part, len(panels)), loc="left")
            for ax, (label, lines) in zip(block, drawn.items(), strict=False):
                _draw_axes(ax, part[part["quantity"].isin(lines)], label, lines)
            for spare in block[len(drawn) :]:
                spare.remove()
    return figure


def _draw_axes(axes: Axes, part: pd.DataFrame, label: str, lines: Mapping[str, str]) -> None:
    """Draw the lines of one axes over epochs, or a note if there are none."""
    trained = set(part["quantity"]) <= set(QUANTITIES["history"])
    for key, line in part.groupby(["quantity", "split", "images"], sort=False):
        quantity, split, images = map(str, key)
        line = line.sort_values("epoch")
        if trained:
            color, dashes = SPLIT_COLORS.get(split, COLORS[2]), IMAGE_DASHES[images]
            look: dict[str, Any] = {"color": color, "linestyle": dashes}
            name = f"{split}, {images}" if images == "adversarial" else split
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
