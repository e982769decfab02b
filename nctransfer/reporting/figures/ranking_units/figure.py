"""Units against transferability scores: where in each network every score and the accuracy are highest.

The axes of each model of each panel have one row per score and one column per unit (the last feature at the
end); each row is scaled from its lowest to its highest value, and a dot marks the unit that the score picks.
The first row is the accuracy of linear probes.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nctransfer.reporting.panels import by_panel, grid, new_figure
from nctransfer.reporting.ranks import UNITS, WHOLE, models_by_accuracy, panels_table
from nctransfer.reporting.settings import FigureSettings, RankingPanel, StyleSettings
from nctransfer.reporting.tidy_rows import PENULTIMATE, Tables

SETTINGS = FigureSettings[RankingPanel]

ROW = 0.13  # height of a row in inches


def tabulate(settings: FigureSettings[RankingPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel, model, score or accuracy, and unit.

    Returns:
        panel, title, dataset, model, unit, module, pooling, width, kind, name, label, value, scaled (0 for
        the lowest, 1 for the highest value of the row; 0 if all are equal), picked; models from the most to
        the least accurate. Models with only the last feature are left out.
    """
    parts = []
    for part in by_panel(panels_table(settings, tables, "rank")):
        rows = part[(part["comparison"] == UNITS) & part["kind"].isin(WHOLE)].dropna(subset="value")
        several = rows.groupby("model")["unit"].nunique() > 1
        rows = rows[rows["model"].map(several)].assign(below=lambda part: part["kind"] != "accuracy")
        rows["model"] = pd.Categorical(rows["model"], models_by_accuracy(part), ordered=True)
        rows = rows.sort_values(["model", "below"], kind="stable").astype({"model": str})
        by_row = rows.groupby(["model", "name"], sort=False)["value"]
        low, high = by_row.transform("min"), by_row.transform("max")
        spread = (high - low).where(high > low, 1.0)
        scaled = (rows["value"] - low) / spread
        parts.append(rows.assign(scaled=scaled, picked=rows.index.isin(by_row.idxmax())))
    columns = "panel title dataset model unit module pooling width kind name label value scaled picked"
    return pd.concat(parts, ignore_index=True)[columns.split()]


def draw(numbers: pd.DataFrame, settings: FigureSettings[RankingPanel]) -> Figure:
    """Draw the figure from its numbers."""
    style = settings.style
    parts = [part for _, part in numbers.groupby(["panel", "model"], sort=False)]
    if not parts:
        with new_figure(style, 0.6 * style.width, 0.6) as figure:
            note = "the last features alone are kept; set units: all"
            figure.text(0.5, 0.5, note, ha="center", va="center")
        return figure
    rows, columns = grid(len(parts), style.width)
    labels = numbers.drop_duplicates("name").set_index("name")["label"]
    with new_figure(style, style.width, rows * (ROW * len(labels) + 0.62) + 0.3) as figure:
        axes = figure.subplots(rows, columns, squeeze=False)
        for spare in axes.flat[len(parts) :]:
            spare.remove()
        lettered = numbers["panel"].nunique() > 1
        for index, part in enumerate(parts):
            _draw_model(axes.flat[index], part, labels, style, lettered, index % columns == 0)
        figure.legend(
            handles=[_dot("*", "best probe", style), _dot("o", "unit that a score picks", style)],
            title="rows run from their lowest (light) to their highest value (dark)",
            title_fontsize=style.font_size - 1, loc="outside lower center", ncols=2, frameon=False,
        )  # fmt: skip
    return figure


def _draw_model(
    axes: Axes, part: pd.DataFrame, labels: pd.Series, style: StyleSettings, lettered: bool, first: bool
) -> None:
    names, units = list(labels.index), sorted(part["unit"].unique())
    wide = part.pivot(index="name", columns="unit", values="scaled").reindex(index=names, columns=units)
    shades = sns.light_palette(style.nc1_color, as_cmap=True)
    sns.heatmap(wide, ax=axes, cmap=shades, cbar=False, linewidths=0.3, vmin=0, vmax=1)
    axes.patch.set(hatch="////", edgecolor="0.75")  # no value of the score
    for row in part[part["picked"]].to_dict("records"):
        place = units.index(row["unit"]) + 0.5, names.index(row["name"]) + 0.5
        axes.add_line(_dot("*" if row["kind"] == "accuracy" else "o", "", style, place))
    last = part.loc[part["module"] == PENULTIMATE, "unit"].max()
    step = -(-len(units) // 7)
    labelled = [index for index in range(0, len(units) - 1, step) if index + 1.5 * step < len(units)]
    texts = [str(units[index]) for index in labelled] + ["last" if units[-1] == last else str(units[-1])]
    axes.set_xticks(np.array([*labelled, len(units) - 1]) + 0.5, texts, rotation=0)
    axes.set_yticks(np.arange(len(names)) + 0.5, labels if first else [""] * len(names), rotation=0)
    axes.tick_params(length=0, labelsize=style.font_size - 2)
    axes.axhline(1, color="0.3", linewidth=0.8)
    panel, model, title = part.iloc[0][["panel", "model", "title"]]
    title = f"({panel}) " * lettered + f"{model} on {title}"
    axes.set_title(title, loc="left", fontsize=style.font_size - 1)
    axes.set(xlabel="unit", ylabel="")


def _dot(marker: str, label: str, style: StyleSettings, place: tuple[float, float] | None = None) -> Line2D:
    """Mark of a picked unit, on the axes or, without a place, for the legend."""
    x, y = ([], []) if place is None else ([place[0]], [place[1]])
    return Line2D(
        x, y, linestyle="none", marker=marker, markersize=6 if marker == "*" else 3.2,
        color=style.accuracy_color, markeredgecolor="white", markeredgewidth=0.4, label=label,
    )  # fmt: skip
