"""Transfer accuracy of fine-tuning methods against samples per class (Fig. 8 of the paper).

A panel is a model on a data set, with one line per method. Methods without a number of samples per class
(zero-shot, or trained on all data) are dashed horizontal lines.
"""

from collections.abc import Mapping

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from nctransfer.reporting.finetuning_runs import ACCURACIES, name_series, over_seeds, runs_table
from nctransfer.reporting.fits import crossing
from nctransfer.reporting.panels import by_panel, frame
from nctransfer.reporting.series_style import Look, draw_lines, looks_of_runs, panels_of_lines
from nctransfer.reporting.settings import FigureSettings, RunsPanel
from nctransfer.reporting.style import round_ticks
from nctransfer.reporting.tidy_rows import Tables
from nctransfer.reporting.tuning_methods import FULL_FT, facts_of

SETTINGS = FigureSettings[RunsPanel]


def tabulate(settings: FigureSettings[RunsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel, series and number of samples per class.

    Returns:
        the columns of ``finetuning_runs.over_seeds`` by per_class (NA for all data), train_accuracy and
        transfer_accuracy (%) with their standard deviations, and full_ft_ahead_from: the (interpolated)
        number of samples per class from which on full fine-tuning is at least as accurate (the smallest
        number if it always is, NaN if it is not with the largest).

    Raises:
        DegenerateInputError: a run has no accuracy, or two runs cannot be told apart.
    """
    runs = runs_table(settings, tables)
    trains = runs["method"].map(lambda method: facts_of(method).trains)
    all_data = runs["per_class"].isna() & trains
    runs = name_series(runs, by=("per_class",))
    runs["name"] = runs["name"].where(~all_data, runs["name"] + ", all data")
    table = over_seeds(runs, ACCURACIES, ("per_class",))
    return pd.concat([_with_crossings(part) for part in by_panel(table)], ignore_index=True)


def _with_crossings(part: pd.DataFrame) -> pd.DataFrame:
    """A panel's rows, with the number of samples from which on full fine-tuning beats each series."""
    is_full = part["method"] == FULL_FT
    full = _curve(part[is_full])
    leads = {name: (_curve(series) - full).dropna() for name, series in part[~is_full].groupby("name")}
    crossings = {name: crossing(lead.index.to_numpy(float), lead.to_numpy()) for name, lead in leads.items()}
    return part.assign(full_ft_ahead_from=part["name"].map(crossings))


def _curve(series: pd.DataFrame) -> pd.Series:
    with_samples = series.dropna(subset="per_class").drop_duplicates("per_class")
    return with_samples.set_index("per_class")["transfer_accuracy"].sort_index()


def draw(numbers: pd.DataFrame, settings: FigureSettings[RunsPanel]) -> Figure:
    """Draw the figure from its numbers."""
    looks = looks_of_runs(numbers)
    with panels_of_lines(numbers, settings.style, tall=0.78) as (figure, drawn, columns):
        for index, (ax, part) in enumerate(drawn):
            frame(ax, settings.windows, part, "per_class", "transfer_accuracy")
            _draw_panel(ax, part, looks)
            note = settings.panels[index].note or ""
            ax.text(0.98, 0.03, note, transform=ax.transAxes, ha="right", fontsize="small")
            if index % columns == 0:
                ax.set_ylabel("Transfer accuracy (%)")
    return figure


def _draw_panel(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    axes.set_xscale("log")
    draw_lines(axes, part, "per_class", looks)
    tried = sorted(set(part["per_class"].dropna().astype(int)))
    axes.set_xticks(tried, [str(number) for number in tried])
    axes.xaxis.set_minor_locator(NullLocator())
    round_ticks(axes.yaxis)
    axes.margins(0.06)
    axes.set_xlabel("Training samples per class")
    sns.despine(ax=axes)
