"""Transfer accuracy of fine-tuning methods against samples per class (Fig. 8 of the paper).

A panel is a model on a data set, a line a method. What trains on no number of samples per class
(zero-shot, or a training on all of the data) is a dashed line across.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from nctransfer.reporting.lines import Look, draw_level, draw_mean, looks_of, panelled
from nctransfer.reporting.points import Tables
from nctransfer.reporting.runs import ALL_UNITS, UNTRAINED, name_series, over_seeds, runs_table
from nctransfer.reporting.style import round_ticks

VALUES = ("train_accuracy", "transfer_accuracy")


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel, series and number of samples per class.

    Args:
        settings: the figure's settings (panels).
        tables: tidy tables by (name, model, view): ``finetuning`` of every run.

    Returns:
        the columns of :func:`~nctransfer.reporting.runs.over_seeds` by per_class (NA across all),
        train_accuracy and transfer_accuracy (%) with their standard deviations, and
        full_ft_ahead_from: the number of samples per class, between those tried, from which on full
        fine-tuning is at least as accurate (the smallest where it always is, NaN where it is not with
        the most).

    Raises:
        DegenerateInputError: a run has no accuracy, or two runs cannot be told apart.
    """
    runs = runs_table(settings, tables)
    all_data = runs["per_class"].isna() & (runs["method"] != UNTRAINED)
    runs = name_series(runs, by=("per_class",))
    runs["name"] = runs["name"].where(~all_data, runs["name"] + ", all data")
    table = over_seeds(runs, VALUES, ("per_class",))
    return pd.concat(
        [_with_crossings(part) for _, part in table.groupby("panel", sort=False)], ignore_index=True
    )


def _with_crossings(part: pd.DataFrame) -> pd.DataFrame:
    """A panel's rows, and on those of each series from where full fine-tuning is ahead of it."""
    full = _curve(part[part["method"] == ALL_UNITS])
    crossings = {
        name: ahead_from(_curve(series), full)
        for name, series in part.groupby("name")
        if series["method"].iloc[0] != ALL_UNITS
    }
    return part.assign(full_ft_ahead_from=part["name"].map(crossings))


def _curve(series: pd.DataFrame) -> pd.Series:
    """Accuracy by samples per class."""
    placed = series.dropna(subset="per_class").drop_duplicates("per_class")
    return placed.set_index("per_class")["transfer_accuracy"].sort_index()


def ahead_from(method: pd.Series, full: pd.Series) -> float:
    """Samples per class from which on ``full`` is at least as accurate as ``method``.

    Both are indexed by samples per class; between two numbers of them, accuracies are taken as linear
    in the logarithm. NaN where full is not ahead at the largest number that both have, or they share none.
    """
    lead = (full - method).dropna()
    if lead.empty or lead.iloc[-1] < 0:
        return float("nan")
    behind = np.flatnonzero(lead < 0)
    if not len(behind):
        return float(lead.index[0])
    last = behind[-1]
    (n0, n1), (lead0, lead1) = lead.index[last : last + 2], lead.iloc[last : last + 2]
    return float(n0 * (n1 / n0) ** (lead0 / (lead0 - lead1)))


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style).
    """
    looks = looks_of(table)
    with panelled(table, settings["style"], tall=0.78) as (figure, drawn, columns):
        for index, (ax, part) in enumerate(drawn):
            _draw_panel(ax, part, looks)
            if index % columns == 0:
                ax.set_ylabel("Transfer accuracy (%)")
    return figure


def _draw_panel(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    axes.set_xscale("log")
    for name, line in part.groupby("name", sort=False):
        placed = line.dropna(subset="per_class").sort_values("per_class")
        if len(placed):
            draw_mean(axes, placed["per_class"], placed, "transfer_accuracy", looks[str(name)].plot_style())
        for mean in line.loc[line["per_class"].isna(), "transfer_accuracy"]:
            draw_level(axes, mean, looks[str(name)])
    tried = sorted(set(part["per_class"].dropna().astype(int)))
    axes.set_xticks(tried, [str(number) for number in tried])
    axes.xaxis.set_minor_locator(NullLocator())
    round_ticks(axes.yaxis)
    axes.margins(0.06)
    axes.set_xlabel("Training samples per class")
    sns.despine(ax=axes)
