"""How far apart two extremes are: the unit of lowest NC1, say, and that of the best probe."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.settings import Settings


class Options(Settings):
    """Columns of the two extremes, and places."""

    place: str
    """Column of the places, such as units."""
    lowest: str
    """Column whose lowest value counts."""
    highest: str
    """Column whose highest value counts."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Distance between the places of the lowest and the highest value, in every panel."""
    place, lowest, highest = options.place, options.lowest, options.highest
    for name, part in parts(table):
        points = numbers(part, (place, lowest, highest))
        if points.empty:
            yield nothing(name, f"no {lowest} and {highest}")
            continue
        low, high = int(points[lowest].argmin()), int(points[highest].argmax())
        at_low, at_high = points[place].iloc[[low, high]]
        lost = points[highest].max() - points[highest].iloc[low]
        places = f"lowest {lowest} at {place} {at_low:g}, best at {at_high:g}"
        note = f"{places}: choosing by it loses {lost:.2f} points"
        yield Finding(name, float(abs(at_low - at_high)), points=len(points), note=note)
