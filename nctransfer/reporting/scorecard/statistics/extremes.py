"""Whether one row of a panel is the lowest and another the highest, by several quantities."""

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound, Estimate
from nctransfer.reporting.scorecard.settings import Selection
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel, runs
from nctransfer.settings import Settings


class Options(Settings):
    """Rows and quantities to compare."""

    lowest: Selection
    """The row that should be the lowest, one in every panel."""
    highest: Selection
    """The row that should be the highest."""
    value: str
    """Column of an accuracy."""
    other: str
    """Column of another quantity with the same order at the ends, such as NC1."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """The smaller gap of accuracy between an end and the row next to it, in every panel.

    Over seeds or test images; besides, both ends must be right by both quantities, which of n rows happens by
    chance once in (n (n - 1)) squared, in all panels together once in that to the power of their number.
    """
    found: list[tuple[Estimate, str]] = []
    shown: list[findings.Part] = []
    chances: list[float] = []
    for name, part in findings.parts(table):
        rows = part.dropna(subset=[options.value, options.other])
        (low, reason), (high, other) = (
            findings.one_row(rows, chosen) for chosen in (options.lowest, options.highest)
        )
        if low is None or high is None or len(rows) < 3:
            return findings.nothing(reason or other or f"{name}: {len(rows)} rows", parts=shown)
        right = rows[options.other].idxmin() == low.name and rows[options.other].idxmax() == high.name
        chances.append((len(rows) * (len(rows) - 1)) ** -2 if right else 1.0)
        below, above = (rows.drop(index=row.name).sort_values(options.value) for row in (low, high))
        note = f"{options.other}: {'the same ends' if right else 'other ends'}"
        for first, second in ((below.iloc[0], low), (high, above.iloc[-1])):
            gap = findings.accuracy_gap(first, second, options.value)
            if np.isnan(gap.low):
                lacking = f"{name}: single runs without a number of test images have no interval"
                return findings.nothing(lacking, parts=shown)
            found.append((gap, note))
            shown.append(findings.Part(name, gap.value, gap.low, gap.high, len(rows)))
    if not found:
        return findings.nothing("no panels")
    chance = 1.0 if 1.0 in chances else float(np.prod(chances))
    return findings.weakest([findings.finding_of(gap, bound, shown, note, [chance]) for gap, note in found])


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Rows apart by the effect, in both quantities; with the effect 0 both scatter by the spread."""
    places = np.zeros(len(part))
    for chosen, place in ((options.lowest, -1.0), (options.highest, 1.0)):
        places[part.index.isin(findings.select(part, chosen).index)] = place
    noise = generator.normal(size=(2, len(part))) * (truth.spread if truth.effect == 0 else 0.0)
    world = runs(part, options.value, 70 + places * truth.effect + noise[0], 0.2, generator)
    return world.assign(**{options.other: 5 + places * np.sign(truth.effect) + noise[1]})
