"""Whether a quantity grows along a list, such as NC1 from full fine-tuning to the linear probe."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, mean_of, nothing, one_row, parts, welch
from nctransfer.reporting.scorecard.settings import Value
from nctransfer.settings import Settings


class Options(Settings):
    """Quantity, and list along which it should grow."""

    along: str
    """Column of the list."""
    order: tuple[Value, ...]
    """Its values, in the claimed ascending order."""
    value: str
    """Column of the quantity, which must be positive."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """The smallest ratio of a value to its predecessor in the list, in every panel; above 1 if all grow.

    The interval is that ratio's over seeds (Welch, of the logarithms, whose deviations are relative ones).
    """
    along, value = options.along, options.value
    for name, part in parts(table):
        rows = [one_row(part, {along: entry}) for entry in options.order]
        missing = [reason for row, reason in rows if row is None]
        if missing:
            yield nothing(name, "; ".join(missing))
            continue
        logs = [_logarithm(*mean_of(row, value)) for row, _ in rows if row is not None]
        ratios = [after[0] - before[0] for before, after in pairwise(logs)]
        least = int(np.argmin(ratios))
        if np.isnan(ratios[least]):
            yield nothing(name, f"a {value} is not positive")
            continue
        interval = np.exp(welch(logs[least + 1], logs[least]))
        note = f"{options.order[least + 1]} to {options.order[least]}" if len(ratios) > 1 else ""
        effect = float(np.exp(ratios[least]))
        yield Finding(name, effect, float(interval[0]), float(interval[1]), len(logs), note)


def _logarithm(mean: float, spread: float, seeds: int) -> tuple[float, float, int]:
    return (np.log(mean), spread / mean, seeds) if mean > 0 else (np.nan, np.nan, seeds)
