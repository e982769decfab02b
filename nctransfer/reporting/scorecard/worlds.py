"""Worlds in which the truth about a claim is known, for the calibration of its test."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nctransfer.intervals import Numbers
from nctransfer.reporting.scorecard.findings import names_of

Random = np.random.Generator


@dataclass(frozen=True)
class Truth:
    """The true number of a statistic in a simulated world."""

    effect: float  # the number
    spread: float = 1.0  # its standard deviation between parts or seeds, as the statistic says


def panel_by_panel(simulate: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    """Worlds of all panels from a function that simulates one."""

    @wraps(simulate)
    def simulated(table: pd.DataFrame, *known: Any) -> pd.DataFrame:
        return pd.concat([simulate(part, *known) for _, part in table.groupby("panel", sort=False)])

    return simulated


def unit_codes(table: pd.DataFrame, unit: tuple[str, ...]) -> tuple[NDArray[np.int64], int]:
    """Numbers of the units of all rows, the same only in panels with the same units; and their count."""
    names = names_of(table, unit)
    group = names.groupby(table["panel"], sort=False).transform(lambda part: "|".join(sorted(part)))
    codes, found = pd.factorize(group + ": " + names)
    return np.asarray(codes, np.int64), len(found)


def runs(table: pd.DataFrame, value: str, truths: Numbers, spread: float, generator: Random) -> pd.DataFrame:
    """A table of runs with these true means, ``spread`` over seeds; single runs (percent) vary by images."""
    seeds = table.get("seeds", pd.Series(1, table.index)).fillna(1).to_numpy(int)
    found, spreads = np.array(truths, np.float64), np.full(len(table), np.nan)
    for place, count in enumerate(seeds):
        if count > 1:
            drawn = truths[place] + spread * generator.normal(size=count)
            found[place], spreads[place] = drawn.mean(), drawn.std(ddof=1)
        elif "test_samples" in table and value.endswith("accuracy"):
            images = int(table["test_samples"].iloc[place])
            found[place] = 100 * generator.binomial(images, np.clip(truths[place] / 100, 0, 1)) / images
        else:
            found[place] += spread * generator.normal()
    return table.assign(**{value: found, f"{value}_std": spreads})
