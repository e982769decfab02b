"""Transfer accuracy against NC1, a point a pre-trained model (Figs. 1, 10, 11 and 15 of the paper).

A panel shows one downstream data set; its abscissa is NC1 on a data set that the panel names:
the downstream one, the source, or one for all panels. Lines, parabolas and correlations, each
in NC1 and in log NC1, are always computed; ``fit`` chooses the abscissa that is drawn, ``curve``
what is drawn through the points: ``line``, ``parabola``, ``path`` (joined in order) or ``none``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nctransfer.reporting.fits import FITS, Line, Parabola, correlation, fit_line, fit_parabola
from nctransfer.reporting.marks import Mark, Point, draw_points, legend_below, legend_beside, marks_of
from nctransfer.reporting.points import Tables, points_table
from nctransfer.reporting.style import (
    NC1,
    SPLITS,
    grid,
    new_figure,
    panel_title,
    place_note,
    plain_ticks,
    round_ticks,
    styled,
)

# without an interval of r2: the correlation's, which is not too narrow for few points, says it
LINE = ("slope", "intercept", "r2")
PARABOLA = (
    "constant", "slope", "curvature", "r2", "turn", "turn_low", "turn_high", "turn_share", "maximum", "inside"
)  # fmt: skip
CORRELATION = ("pearson", "pearson_low", "pearson_high", "spearman")


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel and point.

    Args:
        settings: the figure's settings (panels, learning rate, weight decay, seed).
        tables: tidy tables by (name, model, view): ``metrics`` and ``probes`` of every point.

    Returns:
        the columns of :func:`~nctransfer.reporting.points.points_table`, and the panel's fits,
        repeated on its rows: ``nc1_...`` in NC1, ``log_nc1_...`` in log10 NC1 (turning points are
        NC1 in both).

    Raises:
        DegenerateInputError: a point has no NC1 or no accuracy.
    """
    table = points_table(settings, tables)
    parts = []
    for _, part in table.groupby("panel", sort=True):
        accuracy = part["transfer_accuracy"].to_numpy()
        found: dict[str, float | bool] = {}
        for fit, transform in FITS.items():
            x = transform(part["nc1"].to_numpy())
            line = fit_line(x, accuracy, settings["seed"], resamples=0)
            parabola = fit_parabola(x, accuracy, settings["seed"])
            related = correlation(x, accuracy)
            found |= {f"{fit}_{field}": getattr(line, field) for field in LINE}
            found |= {f"{fit}_parabola_{field}": getattr(parabola, field) for field in PARABOLA}
            found |= {f"{fit}_{field}": getattr(related, field) for field in CORRELATION}
        for field in ("turn", "turn_low", "turn_high"):
            with np.errstate(over="ignore"):  # a turn far beyond the data
                found[f"log_nc1_parabola_{field}"] = np.power(10.0, found[f"log_nc1_parabola_{field}"])
        parts.append(part.assign(**found))
    return pd.concat(parts, ignore_index=True)


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style, fit, curve).
    """
    style, fit = settings["style"], settings["fit"]
    panels = list(table.groupby("panel", sort=True))
    rows, columns = grid(len(panels), style["width"])
    alone = len(panels) == 1
    width = 0.7 * style["width"] if alone else style["width"]
    with styled(style):
        marks = marks_of(table)
        tall = (0.75 if alone else 0.82) * width / columns
        figure = new_figure(width, tall * rows + (0 if alone else 0.45))
        axes = figure.subplots(rows, columns, squeeze=False)
        for spare in axes.flat[len(panels) :]:
            spare.remove()
        notes = []
        for index, (_, part) in enumerate(panels):
            ax = axes.flat[index]
            ax.set_title(panel_title(part, len(panels)), loc="left")
            notes.append((ax, *_draw_panel(ax, part, marks, settings)))
            if index % columns == 0:
                ax.set_ylabel("Transfer accuracy (%)")
        (legend_beside if alone else legend_below)(figure, marks)
        figure.draw_without_rendering()  # notes find their corners once the axes have their sizes
        for ax, note, taken in notes:
            place_note(ax, note, taken)
            if fit == "log_nc1":
                plain_ticks(ax.xaxis)
        figure.draw_without_rendering()  # fonts and ticks are set while the style holds
    return figure


def _draw_panel(
    axes: Axes, part: pd.DataFrame, marks: dict[Point, Mark], settings: Mapping[str, Any]
) -> tuple[str, np.ndarray]:
    """Draw points and curve; return the note, and what it may not hide, (n, 2) in data coordinates."""
    first, fit = part.iloc[0], settings["fit"]
    if fit == "log_nc1":
        axes.set_xscale("log")
    draw_points(axes, part, marks, "nc1", "transfer_accuracy")
    curve, turn = _CURVES[settings["curve"]](axes, part, settings)
    axes.margins(0.08)
    round_ticks(axes.yaxis)
    if fit == "nc1":
        round_ticks(axes.xaxis)
    axes.set_xlabel(f"{NC1} on {first['nc1_dataset']} {SPLITS[first['split']]} data")
    sns.despine(ax=axes)
    points, spread = part[["nc1", "transfer_accuracy"]].to_numpy(), np.zeros((len(part), 2))
    spread[:, 1] = part["transfer_accuracy_std"]
    taken = np.concatenate([points - spread, points, points + spread, curve])
    return "\n".join(filter(None, (_related(first, fit, len(part)), turn))), taken


def _related(first: pd.Series, fit: str, count: int) -> str:
    """Correlation of a panel, in words."""
    r, low, high = (first[f"{fit}_{field}"] for field in CORRELATION[:3])
    of = f" ($\\log_{{10}}$ {NC1})" if fit == "log_nc1" else ""
    if np.isnan(r):
        return f"r undefined, n = {count}"
    return _minus(f"r = {r:.2f} [{low:.2f}, {high:.2f}]{of}\nn = {count}")


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _draw_line(axes: Axes, part: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[np.ndarray, str]:
    fitted = {field: part.iloc[0][f"{settings['fit']}_{field}"] for field in LINE}
    line = Line(**fitted, r2_low=np.nan, r2_high=np.nan, points=len(part))
    return _draw_fit(axes, part, line, settings), ""


def _draw_parabola(axes: Axes, part: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[np.ndarray, str]:
    fitted = {field: part.iloc[0][f"{settings['fit']}_parabola_{field}"] for field in PARABOLA}
    parabola = Parabola(**fitted, points=len(part))
    curve = _draw_fit(axes, part, parabola, settings)
    if not parabola.inside:
        return curve, "no turning point in range"
    axes.axvline(parabola.turn, color=settings["style"]["fit_color"], linestyle=":", linewidth=0.9, zorder=1)
    kind = "maximum" if parabola.maximum else "minimum"
    if len(part) < 4:
        return curve, _minus(f"{kind} at {parabola.turn:.3g}")
    interval = f"[{parabola.turn_low:.3g}, {parabola.turn_high:.3g}]"
    share = f"in {100 * parabola.turn_share:.0f} % of resamples"
    return curve, _minus(f"{kind} at {parabola.turn:.3g} {interval}\n{share}")


def _draw_fit(
    axes: Axes, part: pd.DataFrame, curve: Line | Parabola, settings: Mapping[str, Any]
) -> np.ndarray:
    """Draw a fitted curve over the range of the points; return it, (n, 2), empty where there is none."""
    nc1 = np.linspace(part["nc1"].min(), part["nc1"].max(), 200)
    fitted = curve(FITS[settings["fit"]](nc1))
    if not np.isfinite(fitted).all():
        return np.empty((0, 2))
    axes.plot(nc1, fitted, color=settings["style"]["fit_color"], linewidth=1.2, zorder=1)
    return np.column_stack([nc1, fitted])


def _draw_path(axes: Axes, part: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[np.ndarray, str]:
    """Join the points of a series in order."""
    for _, joined in part.sort_values("order").groupby("series", sort=False):
        axes.plot(joined["nc1"], joined["transfer_accuracy"], color="0.6", linewidth=0.8, zorder=1)
    return np.empty((0, 2)), ""


def _draw_none(axes: Axes, part: pd.DataFrame, settings: Mapping[str, Any]) -> tuple[np.ndarray, str]:
    return np.empty((0, 2)), ""


_CURVES = {"line": _draw_line, "parabola": _draw_parabola, "path": _draw_path, "none": _draw_none}
