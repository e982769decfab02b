"""Collapse and transfer accuracy by unit, and one against the other (Fig. 3 of the paper).

One row of axes per panel: on the left NC1 on the downstream training data and the probe's transfer accuracy
by unit, on two axes; on the right accuracy against NC1, one dot per unit, with the fitted line where the
interval of the correlation leaves out 0. Units that lie close together are shown again, enlarged. The same
fit in log NC1 is always computed; `fit` chooses which of the two is drawn.
"""

from itertools import product

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nctransfer.errors import DegenerateInputError
from nctransfer.intervals import with_intervals
from nctransfer.reporting.fits import FITS, correlation, fit_line
from nctransfer.reporting.panels import by_panel, frame, led_by, letter, new_figure, panel_title
from nctransfer.reporting.series_style import BARS, Look, draw_mean, reach
from nctransfer.reporting.settings import FigureSettings, StyleSettings, UnitsPanel
from nctransfer.reporting.style import LEAST, NC1, clearance, correlation_text, headroom, related, round_ticks
from nctransfer.reporting.tidy_rows import PAIRED, SAMPLES, SIZES, TRANSFER, Tables, probe_rows

SETTINGS = FigureSettings[UnitsPanel]

NARROWEST = 2.3  # inches of axes side by side
CROWDED = 0.2  # share of the range of NC1 in which half of the units are a crowd
# shares of the axes: size of the inset that enlarges a crowd, room for its numbers, distance to points, and
# its places (left, bottom), which are below the note
INSET, NUMBERS, GAP = (0.38, 0.34), 0.1, 0.03
PLACES = tuple(product(np.linspace(0.12, 0.6, 6), np.linspace(0.14, 0.42, 4)))


def tabulate(settings: FigureSettings[UnitsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel and unit.

    Returns:
        nc1, nc1_shuffled, train and transfer accuracy (%, mean over seeds, the latter with test_samples and
        its 95 % interval) by panel and unit, right_with_last (test images that the unit's probe and the last
        unit's both get right; NaN for several seeds), and the panel's fits, repeated on its rows.

    Raises:
        DegenerateInputError: a panel has no units at its pooling.
    """
    parts = []
    for index, panel in enumerate(settings.panels):
        collapse, probes = (tables[name, panel.model, panel.view] for name in ("metrics", "probes"))
        table = _collapse(collapse, panel)
        accuracy = probe_rows(probes[probes["pooling"] == panel.pooling], settings)
        means = accuracy.groupby(["unit", "split"])["accuracy"].agg(["mean", "std", "count"]).unstack("split")
        table["train_accuracy"] = means["mean", "train"]
        table["transfer_accuracy"] = means["mean", "test"]
        table["transfer_accuracy_std"] = means["std", "test"]
        table["seeds"] = means["count", "test"]
        tested = accuracy[accuracy["split"] == "test"].groupby("unit")
        table[SAMPLES] = tested["samples"].first()
        table[PAIRED] = tested[PAIRED].first().where(table["seeds"] == 1)  # of single probes
        table = table.reset_index().sort_values("unit").rename_axis(columns=None)
        table = with_intervals(table, TRANSFER, SAMPLES)
        for name, transform in FITS.items():
            nc1, transfer = transform(table["nc1"].to_numpy()), table["transfer_accuracy"].to_numpy()
            fitted = fit_line(nc1, transfer) | correlation(nc1, transfer)
            table = table.assign(**{f"{name}_{field}": value for field, value in fitted.items()})
        of_panel = panel.model_dump(include={"title", "model", "view", "pooling"})
        parts.append(led_by(table, panel=letter(index), **of_panel))
    return pd.concat(parts, ignore_index=True)


def _collapse(metrics: pd.DataFrame, panel: UnitsPanel) -> pd.DataFrame:
    # the stem (0) is not a unit; the penultimate feature has no pooling of its own
    train = metrics[metrics["split"] == "train"]
    rows = train[(train["pooling"] == panel.pooling) & (train["unit"] > 0)]
    if rows.empty:
        raise DegenerateInputError(
            f"panel {panel.title!r}: no unit with pooling {panel.pooling!r} in the metrics"
        )
    of_unit = ["unit", "module", "width", *(size for size in SIZES if size != "width")]
    wide = rows[rows["metric"].isin(["nc1", "nc1_shuffled"])]
    return wide.pivot_table(index=of_unit, columns="metric", values="value").reset_index().set_index("unit")


def draw(numbers: pd.DataFrame, settings: FigureSettings[UnitsPanel]) -> Figure:
    """Draw the figure from its numbers."""
    style, panels = settings.style, by_panel(numbers)
    columns = 2 if style.width > 2 * NARROWEST else 1
    rows = 2 * len(panels) // columns
    height = 0.76 * style.width / columns * rows
    with new_figure(style, style.width, height, lay_out=False) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, width_ratios=[1.15, 1][:columns])
        for part, (left, right) in zip(panels, axes.reshape(-1, 2), strict=True):
            _draw_units(left, part, style)
            frame(right, settings.windows, part, "nc1", "transfer_accuracy")
            _draw_law(right, part, settings.fit, style)
            left.set_title(panel_title(part, len(panels)), loc="left")
    return figure


def _draw_units(axes: Axes, part: pd.DataFrame, style: StyleSettings) -> None:
    other = axes.twinx()
    nc1, accuracy = Look(NC1, style.nc1_color, "o", "-"), Look("accuracy", style.accuracy_color, "s", "--")
    sides = (
        (axes, "nc1", nc1, f"{NC1} on downstream training data"),
        (other, "transfer_accuracy", accuracy, "Transfer accuracy (%)"),
    )
    for side, column, look, label in sides:
        draw_mean(side, part, "unit", column, look)
        side.set_ylabel(label, color=look.color)
        side.tick_params(axis="y", colors=look.color)
    axes.set_xlabel("Layer (unit, 1 = shallowest)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
    axes.set_ylim(bottom=0)
    axes.legend(
        handles=[axes.lines[0], other.lines[0]], labels=[nc1.name, accuracy.name], loc="upper center",
        bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False,
    )  # fmt: skip
    headroom(axes)
    headroom(other)
    sns.despine(ax=axes, right=False)
    sns.despine(ax=other, right=False, left=True)


def _draw_law(axes: Axes, part: pd.DataFrame, fit: str, style: StyleSettings) -> None:
    first, count, prefix = part.iloc[0], len(part), f"{fit}_"
    drawn, name = np.empty((0, 2)), r"\mathcal{NC}_1"
    name = rf"\log_{{10}}{name}" if fit == "log_nc1" else name
    note = [correlation_text(first, count, prefix), f"n = {count}"]
    if count >= LEAST and related(first, prefix):
        nc1 = np.linspace(part["nc1"].min(), part["nc1"].max(), 200)
        fitted = first[f"{prefix}intercept"] + first[f"{prefix}slope"] * FITS[fit](nc1)
        drawn = np.column_stack([nc1, fitted])
        axes.plot(*drawn.T, color=style.fit_color, linewidth=1.2, zorder=1)
        r2, low, high = (first[f"{prefix}r2{end}"] for end in ("", "_low", "_high"))
        note = [f"$r^2 = {r2:.3f}$  [{low:.2f}, {high:.2f}]", f"line in ${name}$, n = {count}"]
    points = _draw_points(axes, part, part["unit"])
    bar = axes.figure.colorbar(points, ax=axes, pad=0.02, aspect=30)
    bar.set_label("Layer")
    bar.locator = MaxNLocator(integer=True, nbins=6)
    bar.update_ticks()
    if fit == "log_nc1":
        axes.set_xscale("log")
    axes.text(0.97, 0.95, "\n".join(filter(None, note)), transform=axes.transAxes, ha="right", va="top")
    axes.set_xlabel(f"{NC1} on downstream training data")
    axes.set_ylabel("Transfer accuracy (%)")
    headroom(axes)
    sns.despine(ax=axes)
    _enlarge_crowd(axes, part, drawn)


def _draw_points(axes: Axes, part: pd.DataFrame, units: pd.Series) -> PathCollection:
    """Draw units in the colours that they have among all ``units``, with bars."""
    bars = reach(part, "transfer_accuracy")
    axes.errorbar(part["nc1"], part["transfer_accuracy"], yerr=bars, ecolor="0.5", zorder=1.5, **BARS)
    return axes.scatter(
        part["nc1"], part["transfer_accuracy"], c=part["unit"], cmap="viridis", vmin=units.min(),
        vmax=units.max(), s=22, edgecolor="white", linewidth=0.4, zorder=2,
    )  # fmt: skip


def crowd(part: pd.DataFrame) -> pd.DataFrame:
    """The half of the units whose NC1 lie closest together, if these take a fifth of the range or less."""
    ordered, half = part.sort_values("nc1"), -(-len(part) // 2)
    nc1 = ordered["nc1"].to_numpy()
    spans = nc1[half - 1 :] - nc1[: len(nc1) - half + 1]
    first = int(spans.argmin())
    return ordered[first : first + half if spans[first] <= CROWDED * np.ptp(nc1) else first]


def _enlarge_crowd(axes: Axes, part: pd.DataFrame, line: np.ndarray) -> None:
    """Show a crowd again where there is room for it, if possible not on the ``line``, (n, 2)."""
    close, (width, height) = crowd(part), INSET
    points = part[["nc1", "transfer_accuracy"]].to_numpy()
    boxes = [(x - NUMBERS, x + width, y - NUMBERS, y + height) for x, y in PLACES]
    for taken in (np.concatenate([points, line]), points):
        room = [clearance(axes, taken, box) for box in boxes]
        if max(room) >= GAP:
            break
    if len(close) < LEAST or max(room) < GAP:
        return
    inset = axes.inset_axes((*PLACES[int(np.argmax(room))], width, height), zorder=3)
    _draw_points(inset, close, part["unit"])
    inset.margins(0.15, 0.2)
    inset.tick_params(labelsize="xx-small", length=2, pad=1)
    for axis in (inset.xaxis, inset.yaxis):
        round_ticks(axis)
    axes.indicate_inset_zoom(inset, edgecolor="0.4", linewidth=0.6)
