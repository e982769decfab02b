"""Where in the depth of a network a quantity has its extreme."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, numbers, parts
from nctransfer.reporting.scorecard.settings import PlacesSettings


class Options(PlacesSettings):
    """Quantity, places and parts."""

    by: tuple[str, ...] = ()
    """Columns that split panels into parts."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Place of the lowest ``value``, as a share of the deepest place, in every panel."""
    place, value = options.place, options.value
    for name, part in parts(table, options.by):
        points = numbers(part, (place, value))
        if len(points) < 2:
            yield nothing(name, f"{len(points)} places", len(points))
            continue
        lowest, deepest = points[place].iloc[points[value].argmin()], points[place].max()
        note = f"{place} {lowest:g} of {deepest:g}"
        yield Finding(name, float(lowest / deepest), points=len(points), note=note)
