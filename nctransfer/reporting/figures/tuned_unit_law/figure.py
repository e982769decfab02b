"""Layer FT of each unit: transfer accuracy and penultimate NC1 (Fig. 14 of the paper).

A panel is a model on a data set. By tuned unit it shows NC1 of the penultimate feature on the downstream
training data and the transfer accuracy, on two axes, and their correlation.
"""

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting import finetuning_runs as runs_of
from nctransfer.reporting.panels import by_panel, frame
from nctransfer.reporting.series_style import DASHES, Look, draw_mean, panels_of_lines
from nctransfer.reporting.settings import FigureSettings, RunsPanel
from nctransfer.reporting.style import NC1, correlation_text, headroom, round_ticks
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = FigureSettings[RunsPanel]


def tabulate(settings: FigureSettings[RunsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel and tuned unit.

    Returns:
        the columns of ``finetuning_runs.over_seeds``, tuned (the unit), samples, classes and width of the
        penultimate feature on the training data, means and standard deviations of train_accuracy,
        transfer_accuracy (%), nc1, nc1_shuffled and cdnv, and the correlation of nc1 with transfer_accuracy
        over units, repeated on the panel's rows: pearson, its interval (95 %) pearson_low and pearson_high,
        spearman.

    Raises:
        DegenerateInputError: a run has no accuracy or no NC1, or does not tune a single unit; or a panel has
            several methods.
    """
    runs = runs_of.runs_table(settings, tables)
    runs_of.require_nc1(runs)
    tuned = [runs_of.one_unit(run) for run in runs.to_dict("records")]
    runs = runs_of.name_series(runs.assign(tuned=tuned), ("tuned", "units"))
    values = (*runs_of.ACCURACIES, *runs_of.COLLAPSE)
    table = runs_of.over_seeds(runs, values, ("tuned",), runs_of.FEATURE_SIZES)
    for part in by_panel(table):
        if part["name"].nunique() > 1:
            names = ", ".join(part["name"].unique())
            raise DegenerateInputError(f"panel {part['title'].iloc[0]!r}: shows one method, not {names}")
    return runs_of.with_correlation(table).sort_values(["panel", "tuned"], ignore_index=True)


def draw(numbers: pd.DataFrame, settings: FigureSettings[RunsPanel]) -> Figure:
    """Draw the figure from its numbers."""
    with panels_of_lines(numbers, settings.style, tall=0.66, legend=0.3, narrowest=3) as (figure, drawn, _):
        for ax, part in drawn:
            _draw_panel(ax, part, settings)
    return figure


def _draw_panel(axes: Axes, part: pd.DataFrame, settings: FigureSettings[RunsPanel]) -> None:
    style, other = settings.style, axes.twinx()
    nc1 = Look(f"penultimate {NC1} on training data", style.nc1_color, "o", "-")
    accuracy = Look("transfer accuracy", style.accuracy_color, "s", DASHES[1])
    sides = (
        (axes, "nc1", f"Penultimate {NC1}", nc1),
        (other, "transfer_accuracy", "Transfer accuracy (%)", accuracy),
    )
    for side, value, label, look in sides:
        frame(side, settings.windows, part, "tuned", value, look.color)
        draw_mean(side, part, "tuned", value, look)
        side.set_ylabel(label, color=look.color)
        side.tick_params(axis="y", colors=look.color)
        round_ticks(side.yaxis)
        headroom(side)
    note = ", ".join(filter(None, (correlation_text(part.iloc[0], len(part)), f"n = {len(part)}")))
    axes.text(0.5, 0.98, note, transform=axes.transAxes, ha="center", va="top", fontsize="small")
    axes.set_xlabel("Tuned unit (1 = shallowest)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    sns.despine(ax=axes, right=False)
    sns.despine(ax=other, right=False, left=True)
    other.tick_params(axis="y", right=True)  # hidden by despining
