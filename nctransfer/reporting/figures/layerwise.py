"""Collapse and transfer accuracy by unit, and one against the other (Fig. 3 of the paper).

A row of axes for each panel: on the left NC1 on the downstream training data and the
probe's transfer accuracy by unit, on two axes; on the right accuracy against NC1, a dot
a unit, with the fitted line. The same fit in log NC1 is always computed; `fit` chooses
which of the two is drawn.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.fits import FITS, Line, fit_line
from nctransfer.reporting.points import Tables
from nctransfer.reporting.style import NC1, headroom, letter, new_figure, panel_title, styled


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel and unit.

    Args:
        settings: the figure's settings (panels, learning rate, weight decay, seed).
        tables: tidy tables by (name, model, view): ``metrics`` and ``probes`` of every panel.

    Returns:
        nc1, nc1_shuffled, train and transfer accuracy (%, mean over seeds) by panel and
        unit, and the panel's fits, repeated on its rows.

    Raises:
        DegenerateInputError: a panel's tables have no units at the pooling asked for.
    """
    rows = []
    for index, panel in enumerate(settings["panels"]):
        measured = panel["model"], panel["view"]
        table = _panel_table(settings, panel, tables["metrics", *measured], tables["probes", *measured])
        table.insert(0, "panel", letter(index))
        for name, transform in FITS.items():
            line = fit_line(
                transform(table["nc1"].to_numpy()), table["transfer_accuracy"].to_numpy(), settings["seed"]
            )
            for field in ("slope", "intercept", "r2", "r2_low", "r2_high"):
                table[f"{name}_{field}"] = getattr(line, field)
        rows.append(table)
    return pd.concat(rows, ignore_index=True)


def _panel_table(
    settings: Mapping[str, Any], panel: Mapping[str, Any], collapse: pd.DataFrame, accuracy: pd.DataFrame
) -> pd.DataFrame:
    pooling = panel["pooling"]
    # the stem (0) is no unit; the penultimate feature has no pooling of its own
    collapse = collapse[
        (collapse["split"] == "train") & (collapse["pooling"] == pooling) & (collapse["unit"] > 0)
    ]
    if collapse.empty:
        raise DegenerateInputError(
            f"panel {panel['title']!r}: no unit with pooling {pooling!r} in the metrics"
        )
    shared = ["unit", "module", "width", "samples", "classes", "rank"]
    wide = collapse[collapse["metric"].isin(["nc1", "nc1_shuffled"])]
    wide = wide.pivot_table(index=shared, columns="metric", values="value").reset_index()
    chosen = accuracy[
        (accuracy["pooling"] == pooling)
        & (accuracy["learning_rate"] == settings["learning_rate"])
        & (accuracy["weight_decay"] == settings["weight_decay"])
    ]
    means = chosen.groupby(["unit", "split"])["accuracy"].agg(["mean", "std", "count"]).unstack("split")
    table = wide.set_index("unit")
    table["train_accuracy"] = means["mean", "train"]
    table["transfer_accuracy"] = means["mean", "test"]
    table["transfer_accuracy_std"] = means["std", "test"].fillna(0.0)
    table["seeds"] = means["count", "test"]
    table = table.reset_index().sort_values("unit").rename_axis(columns=None)
    table.insert(0, "title", panel["title"])
    table.insert(1, "model", panel["model"])
    table.insert(2, "view", panel["view"])
    table.insert(3, "pooling", pooling)
    return table


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style, fit).
    """
    style = settings["style"]
    panels = list(table.groupby("panel", sort=True))
    with styled(style):
        figure = new_figure(style["width"], 0.38 * style["width"] * len(panels))
        axes = figure.subplots(len(panels), 2, squeeze=False, width_ratios=[1.15, 1])
        for (_, part), (left, right) in zip(panels, axes, strict=True):
            _draw_units(left, part, style)
            _draw_law(right, part, settings["fit"], style)
            left.set_title(panel_title(part, len(panels)), loc="left")
        figure.canvas.draw()  # fonts and ticks are set while the style holds
    return figure


def _draw_units(axes: Axes, part: pd.DataFrame, style: Mapping[str, Any]) -> None:
    """Left: NC1 and accuracy by unit, on two axes."""
    other = axes.twinx()
    sns.lineplot(part, x="unit", y="nc1", ax=axes, color=style["nc1_color"], marker="o", mec="white", mew=0.4)
    sns.lineplot(
        part,
        x="unit",
        y="transfer_accuracy",
        ax=other,
        color=style["accuracy_color"],
        marker="s",
        mec="white",
        mew=0.4,
        linestyle="--",
    )
    axes.set_xlabel("Layer (unit, 1 = shallowest)")
    axes.set_ylabel(f"{NC1} on downstream training data", color=style["nc1_color"])
    other.set_ylabel("Transfer accuracy (%)", color=style["accuracy_color"])
    axes.tick_params(axis="y", colors=style["nc1_color"])
    other.tick_params(axis="y", colors=style["accuracy_color"])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    axes.set_ylim(bottom=0)
    axes.legend(
        handles=[axes.lines[0], other.lines[0]],
        labels=[NC1, "accuracy"],
        loc="upper center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=2,
        frameon=False,
    )
    headroom(axes)
    headroom(other)
    sns.despine(ax=axes, right=False)
    sns.despine(ax=other, right=False, left=True)


def _draw_law(axes: Axes, part: pd.DataFrame, fit: str, style: Mapping[str, Any]) -> None:
    """Right: accuracy against NC1 with the fitted line, units shaded by depth."""
    first = part.iloc[0]
    line = Line(
        slope=first[f"{fit}_slope"],
        intercept=first[f"{fit}_intercept"],
        r2=first[f"{fit}_r2"],
        r2_low=first[f"{fit}_r2_low"],
        r2_high=first[f"{fit}_r2_high"],
        points=len(part),
    )
    nc1 = np.linspace(part["nc1"].min(), part["nc1"].max(), 200)
    axes.plot(nc1, line(FITS[fit](nc1)), color=style["fit_color"], linewidth=1.2, zorder=1)
    points = axes.scatter(
        part["nc1"],
        part["transfer_accuracy"],
        c=part["unit"],
        cmap="viridis",
        s=22,
        edgecolor="white",
        linewidth=0.4,
        zorder=2,
    )
    bar = axes.figure.colorbar(points, ax=axes, pad=0.02, aspect=30)
    bar.set_label("Layer")
    bar.locator = MaxNLocator(integer=True, nbins=6)
    bar.update_ticks()
    if fit == "log_nc1":
        axes.set_xscale("log")
    name = r"\log_{10}\mathcal{NC}_1" if fit == "log_nc1" else r"\mathcal{NC}_1"
    axes.text(
        0.97,
        0.95,
        f"$r^2 = {line.r2:.3f}$  [{line.r2_low:.2f}, {line.r2_high:.2f}]\n"
        f"line in ${name}$, n = {line.points}",
        transform=axes.transAxes,
        ha="right",
        va="top",
    )
    axes.set_xlabel(f"{NC1} on downstream training data")
    axes.set_ylabel("Transfer accuracy (%)")
    headroom(axes)
    sns.despine(ax=axes)
