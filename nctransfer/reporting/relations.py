"""Transfer accuracy against another quantity of the same points: fits, panels and notes.

The abscissa is a scale: NC1 or its logarithm, or the accuracy on the training data. The table has lines,
parabolas and correlations in several scales (:func:`with_fits`); a figure shows those of one scale.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.polynomial.polynomial import polyval

from nctransfer.reporting.fits import FITS, correlation, fit_line, fit_parabola
from nctransfer.reporting.panels import break_texts, by_panel, frame, grid, new_figure, panel_axes
from nctransfer.reporting.series_style import ONE_COLUMN, PointLooks, draw_points, legend_of_points, reach
from nctransfer.reporting.settings import FigureSettings, PointsPanel
from nctransfer.reporting.style import (
    NC1,
    correlation_text,
    minus,
    place_note,
    plain_ticks,
    related,
    round_ticks,
)

# without the interval of r2, which is too narrow for few points; the correlation has a better one
LINE = ("slope", "intercept", "r2")
NARROWEST, LOWEST = 1.5, 1.95  # inches of a panel: four side by side at the paper's width
LOWEST_PARABOLA = 2.5  # whose note has more lines, above the points
WIDE = 2.0  # inches of a panel from which five numbers below it have room


@dataclass(frozen=True)
class Scale:
    """Quantity on the horizontal axis."""

    column: str  # column in the table of points
    transform: Callable[[np.ndarray], np.ndarray]  # transform for the fits
    logarithmic: bool = False  # whether the transform is log10, and the axis logarithmic


SCALES = {
    "nc1": Scale("nc1", FITS["nc1"]),
    "log_nc1": Scale("nc1", FITS["log_nc1"], logarithmic=True),
    "train_accuracy": Scale("train_accuracy", np.asarray),
}


Abscissa = tuple[str, str]  # scale of a panel, and label of its axis


def with_fits(table: pd.DataFrame, scales: Iterable[str], seed: int) -> pd.DataFrame:
    """Fit transfer accuracy in each of some scales (:data:`SCALES`), panel by panel.

    Returns:
        the points with their panel's fits as further columns: ``nc1_...`` in the scale nc1 and so on (turning
        points are NC1 in log_nc1 too).
    """
    parts = [
        part.assign(**{key: value for name in scales for key, value in _fits(part, name, seed).items()})
        for part in by_panel(table)
    ]
    return pd.concat(parts, ignore_index=True)


def _fits(part: pd.DataFrame, name: str, seed: int) -> dict[str, float | bool]:
    scale, accuracy = SCALES[name], part["transfer_accuracy"].to_numpy()
    x = scale.transform(part[scale.column].to_numpy())
    line = fit_line(x, accuracy)
    fits: dict[str, float | bool] = {f"{name}_{field}": line[field] for field in LINE}
    fits |= {f"{name}_parabola_{key}": value for key, value in fit_parabola(x, accuracy, seed).items()}
    fits |= {f"{name}_{field}": value for field, value in correlation(x, accuracy).items()}
    if scale.logarithmic:
        for field in ("turn", "turn_low", "turn_high"):
            with np.errstate(over="ignore"):  # a turning point far beyond the data
                fits[f"{name}_parabola_{field}"] = np.power(10.0, fits[f"{name}_parabola_{field}"])
    return fits


def draw_relations(
    table: pd.DataFrame,
    settings: FigureSettings[PointsPanel],
    looks: PointLooks,
    abscissa: Callable[[pd.Series], Abscissa],
    ordinate: str,
) -> Figure:
    """Draw transfer accuracy against a scale, panels side by side, each with its correlation.

    A fitted line is drawn only where the interval of the correlation leaves out 0. A parabola that turns
    among the points has its turning point in place of the correlation.

    ``abscissa`` gives the abscissa of a panel from its first row, ``ordinate`` is the label of the accuracy.
    """
    style, panels = settings.style, by_panel(table)
    rows, columns = grid(len(panels), style.width, NARROWEST)
    alone = len(panels) == 1
    width = min(style.width, max(0.7 * style.width, ONE_COLUMN)) if alone else style.width
    beside = alone and width > ONE_COLUMN
    lowest = LOWEST_PARABOLA if settings.curve == "parabola" else LOWEST
    tall = 0.75 * width if alone else max(0.82 * width / columns, lowest)
    with new_figure(style, width, tall * rows + (0 if beside else 0.45)) as figure:
        notes = []
        for index, (ax, part) in enumerate(panel_axes(figure, table, (rows, columns))):
            scale, label = abscissa(part.iloc[0])
            notes.append((ax, scale, *_draw_panel(ax, part, looks, scale, settings)))
            ax.set_xlabel(label)
            if index % columns == 0:
                ax.set_ylabel(ordinate)
        axes = [ax for ax, *_ in notes]
        if len({tuple(part["transfer_accuracy"]) for part in panels}) == 1:  # the same accuracies in all
            limits = np.array([ax.get_ylim() for ax in axes])
            for ax in axes:
                ax.set_ylim(limits.min(), limits.max())
        legend_of_points(figure, looks, beside)
        break_texts(figure, axes)
        figure.draw_without_rendering()  # notes are placed once the axes have their sizes
        for ax, scale, note, taken in notes:
            place_note(ax, note, taken)
            low, high = ax.get_ylim()  # no accuracy is above 100 %, though a note may stand there
            ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= min(high, 100)])
            if SCALES[scale].logarithmic:
                plain_ticks(ax.xaxis)
            else:
                round_ticks(ax.xaxis, 5 if width / columns > WIDE else 3)
    return figure


def _draw_panel(
    axes: Axes, part: pd.DataFrame, looks: PointLooks, name: str, settings: FigureSettings[PointsPanel]
) -> tuple[str, np.ndarray]:
    """Draw points and curve; return the note, and what it must not cover, (n, 2) in data coordinates."""
    scale, color, first = SCALES[name], settings.style.fit_color, part.iloc[0]
    if scale.logarithmic:
        axes.set_xscale("log")
    frame(axes, settings.windows, part, scale.column, "transfer_accuracy")
    draw_points(axes, part, looks, scale.column, "transfer_accuracy")
    curve, turn = np.empty((0, 2)), ""
    match settings.curve:
        case "line" if related(first, f"{name}_"):
            terms = [first[f"{name}_{field}"] for field in ("intercept", "slope")]
            curve = _draw_fit(axes, part, terms, scale, color)
        case "parabola":
            terms = [first[f"{name}_parabola_{field}"] for field in ("constant", "slope", "curvature")]
            curve = _draw_fit(axes, part, terms, scale, color)
            turn = _draw_turn(axes, first, f"{name}_parabola_", len(part), color)
        case "path":
            for _, joined in part.sort_values("order").groupby("series", sort=False):
                x, y = joined[scale.column], joined["transfer_accuracy"]
                axes.plot(x, y, color="0.6", linewidth=0.8, zorder=1)
    axes.margins(0.08)
    round_ticks(axes.yaxis)
    sns.despine(ax=axes)
    points = part[[scale.column, "transfer_accuracy"]].to_numpy()
    ends = [points + np.outer(bars, (0, 1)) for bars in reach(part, "transfer_accuracy") * [[-1], [1]]]
    taken = np.concatenate([*ends, points, curve])
    of = f" ($\\log_{{10}}$ {NC1})" if scale.logarithmic else ""
    turns = settings.curve == "parabola" and first[f"{name}_parabola_inside"]
    related_by = "" if turns else correlation_text(first, len(part), f"{name}_", of)
    return "\n".join(filter(None, (related_by, f"n = {len(part)}", turn))), taken


def _draw_fit(axes: Axes, part: pd.DataFrame, terms: Sequence[float], scale: Scale, color: str) -> np.ndarray:
    """Draw a polynomial, its constant first, over the range of the points; return it, (n, 2), or nothing."""
    x = np.linspace(part[scale.column].min(), part[scale.column].max(), 200)
    fitted = polyval(scale.transform(x), terms)
    if not np.isfinite(fitted).all():
        return np.empty((0, 2))
    axes.plot(x, fitted, color=color, linewidth=1.2, zorder=1)
    return np.column_stack([x, fitted])


def _draw_turn(axes: Axes, row: pd.Series, prefix: str, points: int, color: str) -> str:
    """Mark the turning point of a parabola within the data; return its text for the note."""
    if not row[f"{prefix}inside"]:
        return "no turning point in range"
    turn, low, high, share = (row[f"{prefix}turn{end}"] for end in ("", "_low", "_high", "_share"))
    axes.axvline(turn, color=color, linestyle=":", linewidth=0.9, zorder=1)
    kind = "maximum" if row[f"{prefix}maximum"] else "minimum"
    if points < 4:
        return minus(f"{kind} at {turn:.3g}")
    return minus(f"{kind} at {turn:.3g} [{low:.3g}, {high:.3g}]\nin {100 * share:.0f} % of resamples")
