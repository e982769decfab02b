"""Transfer accuracy by the tuned unit, or by the number of tuned units (Fig. 9 of the paper).

With the abscissa ``unit`` a panel has one line per method over its tuned unit; with ``count`` it has one line
from the linear probe (no unit) over Layer FT to full fine-tuning (all units), and on a second axis the
share of trained parameters.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nctransfer.reporting.finetuning_runs import ACCURACIES, name_series, one_unit, over_seeds, runs_table
from nctransfer.reporting.panels import frame
from nctransfer.reporting.series_style import (
    DASHES,
    Look,
    draw_lines,
    draw_mean,
    looks_of_runs,
    panels_of_lines,
)
from nctransfer.reporting.settings import FigureSettings, RunsPanel
from nctransfer.reporting.style import round_ticks
from nctransfer.reporting.tidy_rows import Tables
from nctransfer.reporting.tuning_methods import FULL_FT

SETTINGS = FigureSettings[RunsPanel]

PATH = ("lp", "layer_ft", FULL_FT)  # joined by the line over counts


def tabulate(settings: FigureSettings[RunsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel, series and abscissa.

    Returns:
        the columns of ``finetuning_runs.over_seeds``, abscissa (unit or count), tuned (the unit or the count;
        NA for methods without a choice of units if the abscissa is unit), and train_accuracy and
        transfer_accuracy (%) with their standard deviations.

    Raises:
        DegenerateInputError: a run has no accuracy, tunes several units if the abscissa is unit, or cannot be
            told apart from another.
    """
    runs = runs_table(settings, tables)
    abscissas = [panel.abscissa or "" for panel in settings.panels for _ in panel.runs]
    rows = zip(abscissas, runs.to_dict("records"), strict=True)
    tuned = [_tuned(run, abscissa == "unit") for abscissa, run in rows]
    runs = runs.assign(tuned=pd.array(tuned, "Int64"), abscissa=abscissas)
    return over_seeds(name_series(runs, by=("tuned", "units")), ACCURACIES, ("abscissa", "tuned"))


def _tuned(run: Mapping[Any, Any], by_unit: bool) -> int | None:
    """The unit that a run tunes (None for methods without a choice of units), or the number of its units."""
    if by_unit:
        return one_unit(run) if run["units"] else None
    return int(run["depth"]) if run["method"] == FULL_FT else len(run["units"].split())


def draw(numbers: pd.DataFrame, settings: FigureSettings[RunsPanel]) -> Figure:
    """Draw the figure from its numbers."""
    looks = looks_of_runs(numbers)
    with panels_of_lines(numbers, settings.style, tall=0.78) as (figure, drawn, _):
        for ax, part in drawn:
            frame(ax, settings.windows, part, "tuned", "transfer_accuracy")
            if part["abscissa"].iloc[0] == "unit":
                draw_lines(ax, part, "tuned", looks)
                ax.set_xlabel("Tuned unit (1 = shallowest)")
                sns.despine(ax=ax)
            else:
                _draw_counts(ax, part, looks, settings.style.fit_color)
            ax.set_ylabel("Transfer accuracy (%)")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
            round_ticks(ax.yaxis)
    return figure


def _draw_counts(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Look], color: str) -> None:
    """Accuracy and share of trained parameters by number of tuned units; other methods are stars."""
    path = part[part["method"].isin(PATH)].sort_values("tuned")
    axes.plot(path["tuned"], path["transfer_accuracy"], color="0.6", linewidth=1.0, zorder=1)
    for name, points in part.groupby("name", sort=False):
        look = looks[str(name)]
        star: dict[str, Any] = (
            {} if points["method"].iloc[0] in PATH else {"marker": "*", "markersize": 11, "zorder": 4}
        )
        draw_mean(axes, points, "tuned", "transfer_accuracy", look, linestyle="none", **star)
    other = axes.twinx()
    other.plot(
        path["tuned"], path["share"] / 100, color=color, linestyle=DASHES[1], linewidth=1.0, marker=".",
        label="share of parameters",
    )  # fmt: skip
    other.set_ylim(0, 1.05)
    other.set_ylabel("Share of parameters trained", color=color)
    axes.set_xlabel("Number of tuned units")
    axes.set_zorder(other.get_zorder() + 1)  # accuracy over the share
    axes.patch.set_visible(False)
    sns.despine(ax=axes, right=False)
    sns.despine(ax=other, right=False, left=True)
    other.tick_params(axis="y", right=True, colors=color)  # hidden by despining
