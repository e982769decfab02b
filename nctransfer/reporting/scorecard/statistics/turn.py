"""Turning point of a relation: the maximum of a parabola through the points of a panel (Fig. 10)."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd

from nctransfer.reporting.fits import fit_parabola
from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PointsSettings


class Options(PointsSettings):
    """Points of the parabola, and its number to report."""

    of: Literal["share", "place"]
    """The share of resamples with a maximum in range, or the place of the maximum."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """For the parabola of ``y`` on ``x`` the share of resamples with a maximum in range, or its place.

    Without a maximum within the range of the data, the place is the end at which the parabola is highest.
    """
    for name, part in parts(table):
        points = numbers(part, (options.x, options.y))
        x, y = points.to_numpy().T
        parabola = fit_parabola(x, y, seed=0)
        if np.isnan(parabola.turn_share):
            yield nothing(name, f"no parabola through {len(points)} points", len(points))
            continue
        turns = parabola.maximum and parabola.inside
        if options.of == "share":
            share = parabola.turn_share if parabola.maximum else 0.0
            note = f"maximum at {parabola.turn:.3g}" if turns else "no maximum in range"
            yield Finding(name, share, points=len(points), note=note)
        elif turns:
            interval = parabola.turn_low, parabola.turn_high
            yield Finding(name, parabola.turn, *interval, points=len(points))
        else:
            ends = np.array([x.min(), x.max()])
            best = float(ends[np.argmax(parabola(ends))])
            yield Finding(name, best, points=len(points), note="no maximum in range: the higher end")
