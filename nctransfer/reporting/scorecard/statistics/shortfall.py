"""How far a place is from the best, such as the paper's tuned layer from the best layer to tune."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PlacesSettings
from nctransfer.settings import Share


class Options(PlacesSettings):
    """Quantity, and the place to compare with the best."""

    at: Share
    """Share of the depth; the nearest place is taken."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """The highest ``value`` minus that at a share of the depth, in every panel."""
    place, value = options.place, options.value
    for name, part in parts(table):
        points = numbers(part, (place, value, "depth"))
        if len(points) < 2:
            yield nothing(name, f"{len(points)} places", len(points))
            continue
        row = points.iloc[(points[place] - options.at * points["depth"]).abs().argmin()]
        note = f"{place} {row[place]:g} of {row['depth']:g}"
        yield Finding(name, float(points[value].max() - row[value]), points=len(points), note=note)
