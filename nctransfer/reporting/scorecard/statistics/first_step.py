"""Whether the first step of a curve is larger than what follows."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts


def measure(table: pd.DataFrame, options: Mapping[str, Any]) -> list[Finding]:
    """Change of ``y`` at the first step of ``x``, less all that follows or the last step, in every panel.

    Args:
        table: numbers of a figure.
        options: x, y (columns); rest: ``all`` or ``last`` (its size, whichever its sign).
    """
    x, y = options["x"], options["y"]
    findings = []
    for name, part in parts(table, options.get("by", ())):
        curve = numbers(part, (x, y)).groupby(x)[y].mean().sort_index()
        if len(curve) < 3:
            findings.append(nothing(name, f"{len(curve)} places; it takes 3", len(curve)))
            continue
        steps = curve.diff().dropna()
        rest = steps.iloc[1:].sum() if options["rest"] == "all" else abs(steps.iloc[-1])
        what = "the rest" if options["rest"] == "all" else "the last"
        note = f"first step {steps.iloc[0]:+.3g}, {what} {rest:+.3g}"
        findings.append(Finding(name, float(steps.iloc[0] - rest), points=len(curve), note=note))
    return findings
