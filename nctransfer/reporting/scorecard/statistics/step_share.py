"""Share of a curve's rise in one step: the first, or the last."""

from collections.abc import Iterator
from typing import Literal

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PointsSettings


class Options(PointsSettings):
    """Curve, and step."""

    step: Literal["first", "last"]
    """The step; for the last one its absolute size counts."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Share of the rise of ``y`` from the lowest to the highest ``x`` in one step, in every panel.

    For a curve that does not rise, the share is 0 for the first step and 1 for the last.
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
