"""How much better the unit of lowest NC1 is than the last one."""

import numpy as np
import pandas as pd

from nctransfer.intervals import Numbers
from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound, certain, shifted, sums
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel, runs
from nctransfer.reporting.tidy_rows import PAIRED, SAMPLES
from nctransfer.settings import Settings


class Options(Settings):
    """Columns of units, of the quantity that chooses, and of the one that judges."""

    place: str
    """Column of the places, such as units."""
    lowest: str
    """Column whose lowest value chooses."""
    value: str
    """Column of the accuracy."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """Accuracy of the chosen unit less that of the last, in every network; the least of them counts.

    It must exceed the bound over test images (paired, where there is one probe each), and what a unit chosen
    at random has: the exact probability, over all networks together, that random units are as accurate as
    the chosen ones.
    """
    found, shown, better = [], [], []
    for name, part in findings.parts(table):
        points = findings.numbers(part, (options.place, options.lowest, options.value))
        if len(points) < 2:
            return findings.nothing(f"{name}: {len(points)} units", len(points))
        rows = part.loc[points.index].sort_values(options.place)
        chosen, last = rows.iloc[int(rows[options.lowest].argmin())], rows.iloc[-1]
        if chosen.name == last.name:
            gap = certain(0.0, len(points), "units")
        elif pd.notna(chosen.get(PAIRED)):
            gap = findings.paired_gap(chosen, last, options.value, float(chosen[PAIRED]))
        else:
            gap = findings.accuracy_gap(chosen, last, options.value)
        places = f"{options.place} {chosen[options.place]:g}, the last is {last[options.place]:g}"
        shown.append(findings.Part(name, gap.value, gap.low, gap.high, len(points), places))
        better.append(_against_random(rows, chosen, options.value))
        if np.isnan(gap.low):
            return findings.nothing(f"{name}: number of test images unknown", parts=shown)
        found.append((gap, places))
    if not found:
        return findings.nothing("no units")
    null = sums(better)
    random = shifted(float(null[0]), null, 0, "units")
    p = random.above(0.0)
    tested = []
    for gap, places in found:
        said = f"{places}; p = {p:.2g} against units at random"
        tested.append(findings.finding_of(gap, bound, shown, said, [p], random.least))
    return findings.weakest(tested)


def _against_random(rows: pd.DataFrame, chosen: pd.Series, value: str) -> Numbers:
    """Ranks of all units by accuracy, scaled, that of the chosen one first."""
    scaled = rows[value].rank(method="min") / len(rows)
    own = (rows.index == chosen.name).argmax()
    return np.roll(scaled.to_numpy(np.float64), -int(own))


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """A random unit is the lowest and ahead of the last by the effect; all others are behind.

    Where pairs are known the unit gets nine in ten of the images right that the last one does.
    """
    rows = part.sort_values(options.place)
    nc1 = generator.random(len(rows)) + 1.0
    chosen = int(generator.integers(len(rows) - 1))
    nc1[chosen] = 0.5
    truths = np.full(len(rows), 70.0)
    if truth.effect != 0:
        truths[:-1] -= truth.spread * (1 + generator.random(len(rows) - 1))
        truths[chosen] = 70.0 + truth.effect
    world = runs(rows.assign(**{options.lowest: nc1}), options.value, truths, 0.2, generator)
    if PAIRED in world and world[PAIRED].notna().all():
        images = int(world[SAMPLES].iloc[chosen])
        of_last = round(world[options.value].iloc[-1] / 100 * images)
        gained = (truths[chosen] - 0.9 * truths[-1]) / (100 - truths[-1])
        both = generator.binomial(of_last, 0.9)
        right = both + generator.binomial(images - of_last, gained)
        name = world.index[chosen]
        world.loc[name, [options.value, PAIRED]] = 100 * right / images, both
    return world
