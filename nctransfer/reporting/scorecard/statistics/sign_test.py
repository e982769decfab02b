"""Share of the cases in which one selection of rows is ahead of another: a sign test."""

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.estimates import Bound, share
from nctransfer.reporting.scorecard.findings import Finding, finding_of, nothing, plural
from nctransfer.reporting.scorecard.settings import ComparisonSettings
from nctransfer.reporting.scorecard.statistics import difference
from nctransfer.reporting.scorecard.worlds import Random, Truth


class Options(ComparisonSettings):
    """Rows to compare, cases, and what counts as ahead."""

    reach: float = 0.0
    """What a case must exceed: a negative number for being at most so far behind."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> Finding:
    """Share of the cases in which the difference exceeds ``reach``. Equal ones do not count."""
    gaps = difference.differences(table, options)
    shown = [part for part, _ in gaps]
    effects = np.array([part.effect for part in shown])
    if not len(effects) or np.isnan(effects).any():
        return nothing(next((part.note for part in shown if part.note), "no cases"), parts=shown)
    wins, ties = int((effects > options.reach).sum()), int((effects == options.reach).sum())
    cases = len(effects) - ties  # as is usual in a sign test
    if cases == 0:
        return nothing("all cases are equal", parts=shown)
    note = f"{wins} of {cases}" + (f", {ties} equal" if ties else "")
    return finding_of(share(wins, cases, bound.ends[0], plural(options.over)), bound, shown, note)


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Cases that are ahead with the probability of the effect."""
    worlds = []
    for _, part in table.groupby(list(options.over), sort=False):
        ahead = generator.random() < truth.effect
        gap = Truth(options.reach + (1 if ahead else -1) * (0.1 + generator.random()), 0.0)
        worlds.append(difference.simulate(part, options, gap, generator))
    return pd.concat(worlds)
