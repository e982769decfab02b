"""Whether the first step of a curve gains far more than all others together."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound, student
from nctransfer.reporting.scorecard.settings import PointsSettings as Options
from nctransfer.reporting.scorecard.worlds import Random, Truth, panel_by_panel, runs

FEWEST = 4  # places


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """Gain of the first step less twice the size of what follows (up or down), in points of accuracy.

    What follows is the change from the first step to the last. The interval is over test images or seeds.
    Besides, the start must lie below what scatters about the rest of the curve (a prediction interval,
    Student's t).
    """
    found: list[findings.Finding] = []
    shown: list[findings.Part] = []
    for name, part in findings.parts(table):
        rows = part.dropna(subset=[options.x, options.y]).sort_values(options.x).drop_duplicates(options.x)
        if len(rows) < FEWEST:
            return findings.nothing(f"{name}: {len(rows)} places; it takes {FEWEST}", len(rows), shown)
        start, first, last = (rows.iloc[place] for place in (0, 1, -1))
        errors = [findings.accuracy_error(row, options.y) for row in (start, first, last)]
        variances, varies = np.array([error for error, _, _ in errors]), errors[0][2]
        if np.isnan(variances).any():
            lacking = f"{name}: single runs without a number of test images have no interval"
            return findings.nothing(lacking, parts=shown)
        y = np.array([row[options.y] for row in (start, first, last)], np.float64)
        rest = rows[options.y].to_numpy(float)[1:]
        spread = rest.std(ddof=1) * np.sqrt(1 + 1 / len(rest))
        p = float(stats.t.sf((rest.mean() - y[0]) / max(spread, 1e-9), len(rest) - 1))
        for weights in ((-1.0, 3.0, -2.0), (-1.0, -1.0, 2.0)):
            error = float(np.sqrt(np.array(weights) ** 2 @ variances))
            freedom = min(freedom for _, freedom, _ in errors)
            images = int(first.get("test_samples", 0) or 0) if varies == findings.IMAGES else len(rows)
            gap = student(float(np.array(weights) @ y), error, freedom, images, varies)
            steps = f"first step {y[1] - y[0]:+.2f}, all others {y[2] - y[1]:+.2f} points"
            note = f"{steps}; p = {p:.2g} of the start against the rest"
            found.append(findings.finding_of(gap, bound, note=note, also=[p]))
        shown.append(findings.Part(name, y[1] - y[0], points=len(rows), note=steps))
    if not found:
        return findings.nothing("no curve")
    return replace(findings.weakest(found), parts=tuple(shown))


@panel_by_panel
def simulate(part: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """A first step of the effect and then a plateau; pure noise for 0, equal steps for less."""
    rows = part.sort_values(options.x)
    truths = 80.0 + truth.spread * generator.normal(size=len(rows))
    if truth.effect > 0:
        truths = np.full(len(rows), 80.0) + 0.1 * truth.spread * generator.normal(size=len(rows))
        truths[0] = 80.0 - truth.effect
    elif truth.effect < 0:
        truths = 80.0 - truth.effect * np.arange(len(rows)) / len(rows)
    return runs(rows, options.y, truths, 0.1, generator)
