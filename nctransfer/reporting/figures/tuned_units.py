"""Transfer accuracy by the unit that is tuned, or by how many are (Fig. 9 of the paper).

A panel's ``abscissa`` chooses: ``unit`` shows a line a method by its tuned unit, ``count`` one line from
the linear probe (no unit) over Layer FT to full fine-tuning (all of them), and on a second axis the
share of the parameters that is trained.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nctransfer.reporting.lines import Look, draw_level, draw_mean, looks_of, panelled
from nctransfer.reporting.points import Tables
from nctransfer.reporting.runs import ALL_UNITS, name_series, one_unit, over_seeds, runs_table
from nctransfer.reporting.style import round_ticks

VALUES = ("train_accuracy", "transfer_accuracy")
PATH = ("lp", "layer_ft", ALL_UNITS)  # what the line over counts joins


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel, series and place on the abscissa.

    Args:
        settings: the figure's settings (panels; abscissa of each).
        tables: tidy tables by (name, model, view): ``finetuning`` of every run.

    Returns:
        the columns of :func:`~nctransfer.reporting.runs.over_seeds`, abscissa (unit or count), tuned (the
        unit or the count; NA for what tunes no unit, or all, where units are asked for), and
        train_accuracy and transfer_accuracy (%) with their standard deviations.

    Raises:
        DegenerateInputError: a run has no accuracy, tunes several units where one is asked for, or cannot
            be told apart from another.
    """
    runs = runs_table(settings, tables)
    abscissas = [panel["abscissa"] for panel in settings["panels"] for _ in panel["runs"]]
    places = {"unit": _tuned_unit, "count": _tuned_count}
    tuned = [places[key](row) for key, row in zip(abscissas, runs.to_dict("records"), strict=True)]
    runs = runs.assign(tuned=pd.array(tuned, "Int64"), abscissa=abscissas)
    return over_seeds(name_series(runs, by=("tuned", "units")), VALUES, ("abscissa", "tuned"))


def _tuned_unit(run: Mapping[Any, Any]) -> int | None:
    """The unit a run tunes; None for the methods that tune none, or all."""
    return None if run["method"] == ALL_UNITS or not run["units"] else one_unit(run)


def _tuned_count(run: Mapping[Any, Any]) -> int:
    """How many units a run tunes."""
    return int(run["depth"]) if run["method"] == ALL_UNITS else len(run["units"].split())


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style).
    """
    style, looks = settings["style"], looks_of(table)
    with panelled(table, style, tall=0.78) as (figure, drawn, _):
        for ax, part in drawn:
            _DRAW[part["abscissa"].iloc[0]](ax, part, looks, style)
            ax.set_ylabel("Transfer accuracy (%)")
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
            round_ticks(ax.yaxis)
    return figure


def _draw_units(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Look], style: Mapping[str, Any]) -> None:
    """Accuracy by tuned unit; what tunes none is a dashed line across."""
    for name, line in part.groupby("name", sort=False):
        placed = line.dropna(subset="tuned").sort_values("tuned")
        if len(placed):
            draw_mean(axes, placed["tuned"], placed, "transfer_accuracy", looks[str(name)].plot_style())
        for mean in line.loc[line["tuned"].isna(), "transfer_accuracy"]:
            draw_level(axes, mean, looks[str(name)])
    axes.set_xlabel("Tuned unit (1 = shallowest)")
    sns.despine(ax=axes)


def _draw_counts(axes: Axes, part: pd.DataFrame, looks: Mapping[str, Look], style: Mapping[str, Any]) -> None:
    """Accuracy and share of trained parameters by number of tuned units; other methods are stars."""
    path = part[part["method"].isin(PATH)].sort_values("tuned")
    axes.plot(path["tuned"], path["transfer_accuracy"], color="0.6", linewidth=1.0, zorder=1)
    for name, points in part.groupby("name", sort=False):
        look = looks[str(name)].plot_style() | {"linestyle": "none"}
        if points["method"].iloc[0] in PATH:
            draw_mean(axes, points["tuned"], points, "transfer_accuracy", look)
        else:
            star = {"marker": "*", "markersize": 11, "label": f"_{name}", "zorder": 4}
            draw_mean(axes, points["tuned"], points, "transfer_accuracy", look | star)
            _name_star(axes, points.iloc[0], look["color"])
    other = axes.twinx()
    shares = path.assign(share=path["share"] / 100)
    other.plot(
        shares["tuned"],
        shares["share"],
        color=style["fit_color"],
        linestyle=(0, (4, 1.5)),
        linewidth=1.0,
        marker=".",
        label="share of parameters",
    )
    other.set_ylim(0, 1.05)
    other.set_ylabel("Share of parameters trained", color=style["fit_color"])
    axes.set_xlabel("Number of tuned units")
    axes.margins(y=0.12)  # for the name of a star
    axes.set_zorder(other.get_zorder() + 1)  # accuracy over the share
    axes.patch.set_visible(False)
    sns.despine(ax=axes, right=False)
    sns.despine(ax=other, right=False, left=True)
    other.tick_params(axis="y", right=True, colors=style["fit_color"])  # despining hides them


def _name_star(axes: Axes, point: pd.Series, color: str) -> None:
    axes.annotate(
        point["name"],
        (point["tuned"], point["transfer_accuracy"]),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=color,
    )


_DRAW = {"unit": _draw_units, "count": _draw_counts}
