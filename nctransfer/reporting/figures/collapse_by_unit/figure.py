"""Collapse by unit after fine-tuning (Figs. 7, 16 and 17 of the paper).

A panel is a model on a data set with one tuned unit. One line per method shows NC1 on the downstream training
data by unit, from the stem (0) to the last, and separately for the penultimate feature.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting import finetuning_runs as runs_of
from nctransfer.reporting.panels import frame, grid
from nctransfer.reporting.series_style import Look, looks_of_runs, panels_of_lines
from nctransfer.reporting.settings import FigureSettings, RunsPanel
from nctransfer.reporting.style import NC1, plain_ticks
from nctransfer.reporting.tidy_rows import PENULTIMATE, Tables

SETTINGS = FigureSettings[RunsPanel]

WIDTHS, SIZES = (4.5, 0.9), (6.4, 3.3)  # points of the first and the last line, and of their markers
MEASURED = ("nc1", "nc1_shuffled")  # for every unit
NARROWEST = 1.5  # inches of a panel: four of one data set in a row at the paper's width


def tabulate(settings: FigureSettings[RunsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel, series and unit.

    Returns:
        the columns of ``finetuning_runs.over_seeds``, tuned (the units that the panel marks, text), unit,
        module, samples and classes on which NC1 was measured, and mean and standard deviation of nc1,
        nc1_shuffled and the run's transfer_accuracy (%) over seeds. The penultimate feature comes last; its
        unit is depth + 1.

    Raises:
        DegenerateInputError: a run has no accuracy, or no NC1 of a unit at the panel's pooling or of the
            penultimate feature.
    """
    runs = runs_of.name_series(runs_of.runs_table(settings, tables))
    runs_of.require_nc1(runs)
    units = pd.concat([_by_unit(run, tables) for run in runs.to_dict("records")])
    merged = runs.drop(columns=list(MEASURED)).merge(units, on=["panel", "run"])
    values, by = (*MEASURED, "transfer_accuracy"), ("unit", "module")
    table = runs_of.over_seeds(merged, values, by, ("samples", "classes"))
    tuned = runs.groupby("panel")["units"].agg(
        lambda texts: " ".join(sorted(set(" ".join(texts).split()), key=int))
    )
    table.insert(len(runs_of.PANEL), "tuned", table["panel"].map(tuned))
    return table


def _by_unit(run: Mapping[Any, Any], tables: Tables) -> pd.DataFrame:
    metrics = tables["metrics", run["measured"], run["view"]]
    train = metrics[(metrics["split"] == "train") & metrics["metric"].isin(MEASURED)]
    units = train[train["pooling"] == run["pooling"]]
    if not (units["metric"] == "nc1").any():
        name = runs_of.run_name(run["title"], run["run"])
        raise DegenerateInputError(f"{name}: the metrics have no nc1 of units pooled by {run['pooling']!r}")
    last = train[train["module"] == PENULTIMATE].assign(unit=run["depth"] + 1)
    wide = pd.concat([units, last]).pivot(index=["unit", "module"], columns="metric", values="value")
    by_unit = wide.reindex(columns=list(MEASURED)).reset_index()
    return by_unit.assign(panel=run["panel"], run=run["run"])


def draw(numbers: pd.DataFrame, settings: FigureSettings[RunsPanel]) -> Figure:
    """Draw the figure from its numbers."""
    style, looks = settings.style, looks_of_runs(numbers)
    room: dict[str, Any] = {"tall": 0.72, "shape": _shape(numbers, style.width)}
    with panels_of_lines(numbers, style, **room, sharey="row") as (figure, drawn, columns):
        for index, (ax, part) in enumerate(drawn):
            frame(ax, settings.windows, part, "unit", "nc1")
            _draw_panel(ax, part, looks)
            if index % columns == 0:
                ax.set_ylabel(f"{NC1} on training data")
            if index + columns >= len(drawn):
                ax.set_xlabel("Unit (0 = stem)" if (part["unit"] == 0).any() else "Unit")
        for ax, _ in drawn:
            plain_ticks(ax.yaxis)  # once all axes of a row have their limits
    return figure


def _shape(table: pd.DataFrame, width: float) -> tuple[int, int]:
    """Rows and columns: as few rows per model and data set as fit, if these have equally many panels."""
    panels = table.drop_duplicates("panel")
    names = panels[["model", "dataset"]]
    sizes = set((names != names.shift()).any(axis=1).cumsum().value_counts())
    each, (_, columns) = min(sizes), grid(min(sizes), width, NARROWEST)
    if len(sizes) == 1 and each > 1 and each % columns == 0:
        return len(panels) // columns, columns
    return grid(len(panels), width, NARROWEST)


def _draw_panel(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    depth = int(part["depth"].iloc[0])
    apart = 0.6 + 1.18 * depth
    axes.set_yscale("log", nonpositive="clip")
    names = part["name"].unique()
    widths, sizes = np.linspace(*WIDTHS, len(names)), np.geomspace(*SIZES, len(names))
    for name, width, size in zip(names, widths, sizes, strict=True):
        line, look = part[part["name"] == name], looks[name].line()
        # each line is thinner than the last and has smaller markers, so that an equal one shows on its sides
        look |= {"linewidth": width, "markersize": size}
        last = line["module"] == PENULTIMATE
        units = line[~last].set_index("unit").reindex(range(depth + 1)).reset_index()  # keeps gaps visible
        _draw_line(axes, units["unit"], units, look)
        _draw_line(axes, pd.Series(apart, line.index[last]), line[last], look | {"label": f"_{name}"})
    for unit in part["tuned"].iloc[0].split():
        axes.axvline(int(unit), color="0.45", linestyle=":", linewidth=1.0, zorder=0.5, label="tuned unit")
    first = int(part["unit"].min())
    step = -(-depth // 8)
    ticks = [unit for unit in range(0, depth + 1, step) if unit >= first]
    axes.set_xticks([*ticks, apart], [*map(str, ticks), "pen."])
    axes.axvspan((depth + apart) / 2, 2 * apart, color="0.95", linewidth=0, zorder=0)
    axes.set_xlim(first - 0.05 * depth, apart + 0.07 * depth)
    sns.despine(ax=axes)


def _draw_line(axes: Axes, x: pd.Series, part: pd.DataFrame, look: Mapping[str, Any]) -> None:
    """Means, and a band (a bar for a single point) of one standard deviation if it is positive."""
    mean, std = part["nc1"].to_numpy(float), part["nc1_std"].fillna(0.0).to_numpy(float)
    low = np.where(mean > std, mean - std, mean / 10)  # a logarithmic axis has no 0
    axes.plot(x, mean, **look)
    if len(part) > 1:
        axes.fill_between(x, low, mean + std, color=look["color"], alpha=0.2, linewidth=0)
    else:
        axes.errorbar(x, mean, yerr=[mean - low, std], fmt="none", ecolor=look["color"], elinewidth=0.7)
