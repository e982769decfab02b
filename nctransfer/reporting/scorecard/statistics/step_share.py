"""What share of a curve's rise one step makes: the first, or the last."""

from collections.abc import Iterator
from typing import Literal

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PointsSettings


class Options(PointsSettings):
    """Which curve, and which step."""

    step: Literal["first", "last"]
    """The step; of the last one its size counts, whichever its sign."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Share of the rise of ``y`` from the lowest to the highest ``x`` that a step makes, in every panel.

    A curve that does not rise has no share: nothing of it is in the first step, and all of it in the last.
    """
    x, y, first = options.x, options.y, options.step == "first"
    for name, part in parts(table):
        curve = numbers(part, (x, y)).groupby(x)[y].mean().sort_index()
        if len(curve) < 3:
            yield nothing(name, f"{len(curve)} places; it takes 3", len(curve))
            continue
        steps = curve.diff().dropna()
        rise = float(steps.sum())
        step = float(steps.iloc[0]) if first else abs(float(steps.iloc[-1]))
        note = f"{step:+.3g} of {rise:+.3g}"
        share = step / rise if rise > 0 else 0.0 if first else 1.0
        yield Finding(name, share, points=len(curve), note=note)
