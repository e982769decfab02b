"""Models against transferability scores: the rank of each model by each score, and how well the score ranks.

One row of axes per panel (a data set). On the left are the ranks, one row per score and one column per model,
from the most to the least accurate, so that a perfect score goes from dark to light. On the right is the
score's weighted Kendall tau with its 95 % interval, and the band that contains 95 % of the random orders of
as many models.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from nctransfer.reporting.panels import by_panel, new_figure
from nctransfer.reporting.ranks import LEAST, MODELS, WHOLE, ranking_numbers, statement
from nctransfer.reporting.settings import FigureSettings, RankingPanel, StyleSettings
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = FigureSettings[RankingPanel]

ROW = 0.17  # height of a row in inches
UNIT_COLUMNS = ("unit", "module", "lost")


def tabulate(settings: FigureSettings[RankingPanel], tables: Tables) -> pd.DataFrame:
    """Rows and columns of :func:`~nctransfer.reporting.ranks.ranking_numbers` that compare models."""
    table = ranking_numbers(settings, tables)
    of_units = [name for name in map(str, table) if name in UNIT_COLUMNS or name.startswith("mean_tau")]
    shown = (table["comparison"] == MODELS) & table["kind"].isin(WHOLE)
    return table[shown].drop(columns=of_units).reset_index(drop=True)


def draw(numbers: pd.DataFrame, settings: FigureSettings[RankingPanel]) -> Figure:
    """Draw the figure from its numbers."""
    style, panels = settings.style, by_panel(numbers)
    rows = [part["name"].nunique() for part in panels]
    with new_figure(style, style.width, sum(ROW * count + 1.1 for count in rows)) as figure:
        axes = figure.subplots(len(panels), 2, squeeze=False, width_ratios=[1.6, 1], height_ratios=rows)
        for part, (left, right) in zip(panels, axes, strict=True):
            _draw_panel(left, right, part, style, len(panels) > 1)
    return figure


def _draw_panel(left: Axes, right: Axes, part: pd.DataFrame, style: StyleSettings, lettered: bool) -> None:
    first, models = part.iloc[0], list(dict.fromkeys(part["model"]))
    truth = part[(part["kind"] == "accuracy") & (part["name"] == first["judged_by"])]
    # one row per score: scores of all models before those of some, the highest tau first
    scores = part[part["kind"] == "score"].drop_duplicates("name")
    order = ["points", "tau"]
    scores = scores.sort_values(order, ascending=False, kind="stable", na_position="last")
    names = pd.concat([truth.head(1), scores])["name"].tolist()
    wide = part.pivot(index="name", columns="model", values="rank").reindex(index=names, columns=models)
    shades = sns.light_palette(style.nc1_color, reverse=True, as_cmap=True)
    sns.heatmap(
        wide, ax=left, cmap=shades, annot=True, fmt=".0f", annot_kws={"fontsize": style.font_size - 2},
        cbar=False, linewidths=0.5, vmin=1, vmax=max(2, len(models)),
    )  # fmt: skip
    left.set(xlabel="", ylabel="")
    left.patch.set(hatch="////", edgecolor="0.75")  # for models without the score
    left.set_xticks(np.arange(len(models)) + 0.5, models, rotation=35, ha="right", rotation_mode="anchor")
    left.set_yticks(np.arange(len(names)) + 0.5, [first["judged_by_label"], *_labels(scores)], rotation=0)
    left.tick_params(length=0)
    left.axhline(1, color="0.3", linewidth=0.9)
    lead = f"({first['panel']}) " if lettered else ""
    left.set_title(f"{lead}{first['title']}: rank of each model", loc="left")
    _draw_taus(right, scores, style, len(names))
    right.set_title(statement(int(truth["value"].count())), loc="left", fontsize=style.font_size - 1)


def _labels(scores: pd.DataFrame) -> list[str]:
    """Labels of scores; for those that only some models have, with their number."""
    most = scores["points"].max()
    return [
        label if points == most else f"{label}, n = {points:.0f}"
        for label, points in zip(scores["label"], scores["points"], strict=True)
    ]


def _draw_taus(axes: Axes, scores: pd.DataFrame, style: StyleSettings, rows: int) -> None:
    """Tau of every score in its row, its interval, and the band of 95 % of the random orders."""
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=1)
    color = style.accuracy_color
    for place, row in zip(np.arange(1, rows) + 0.5, scores.to_dict("records"), strict=True):
        if np.isnan(row["tau"]) or row["points"] < LEAST:
            note = "undefined" if row["points"] >= LEAST else f"n = {row['points']:.0f}"
            axes.text(0, place, note, va="center", ha="center", fontsize=style.font_size - 2, color="0.4")
            continue
        low, high = row["tau_null_low"], row["tau_null_high"]
        axes.barh(place, high - low, left=low, height=1, color="0.92", zorder=0)
        if not np.isnan(row["tau_low"]):
            axes.plot([row["tau_low"], row["tau_high"]], [place, place], color=color, linewidth=1, zorder=2)
        axes.plot(row["tau"], place, "o", color=color, markersize=4, zorder=3, mec="white", mew=0.4)
    axes.set(xlim=(-1.05, 1.05), ylim=(rows, 0), yticks=[])
    axes.xaxis.set_major_locator(MultipleLocator(0.5))
    axes.set_xlabel(r"weighted Kendall $\tau$ with 95 % interval" + "\ngrey: 95 % of random orders")
    sns.despine(ax=axes, left=True)
