"""Where a relation turns: the maximum of a parabola through the points of a panel (Fig. 10)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.reporting.fits import fit_parabola
from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Of the parabola of ``y`` on ``x``: the share of resamples with a maximum in range, or where it is.

    Where the fit has no maximum within the range of the data, the place is the end at which it is highest.

    Args:
        table: numbers of a figure.
        options: x, y (columns); of: ``share`` or ``place``.
    """
    findings = []
    for name, part in parts(table):
        points = numbers(part, (options["x"], options["y"]))
        x, y = points.to_numpy().T
        parabola = fit_parabola(x, y, seed=0)
        if np.isnan(parabola.turn_share):
            findings.append(nothing(name, f"no parabola through {len(points)} points", len(points)))
            continue
        turns = parabola.maximum and parabola.inside
        if options["of"] == "share":
            share = parabola.turn_share if parabola.maximum else 0.0
            note = f"maximum at {parabola.turn:.3g}" if turns else "no maximum in range"
            findings.append(Finding(name, share, points=len(points), note=note))
        elif turns:
            interval = parabola.turn_low, parabola.turn_high
            findings.append(Finding(name, parabola.turn, *interval, points=len(points)))
        else:
            ends = np.array([x.min(), x.max()])
            best = float(ends[np.argmax(parabola(ends))])
            findings.append(
                Finding(name, best, points=len(points), note="no maximum in range: the higher end")
            )
    return findings
