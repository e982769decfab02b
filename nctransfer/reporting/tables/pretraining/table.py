"""Pre-trainings with their source NC1 and transfer accuracy (the unnumbered table of Appendix B)."""

import math

import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.panels import by_panel
from nctransfer.reporting.points import points_table as tabulate
from nctransfer.reporting.settings import PointsPanel, TableSettings
from nctransfer.reporting.style import SPLITS
from nctransfer.reporting.table_cells import accuracy_text, spread

__all__ = ["SETTINGS", "present", "tabulate"]

SETTINGS = TableSettings[PointsPanel]


def present(numbers: pd.DataFrame, settings: TableSettings[PointsPanel]) -> pd.DataFrame:
    """The readable form: text and rounded numbers, one row per point of the first panel, in its order.

    Further panels (downstream data sets, or NC1 on another set) add columns; points that they do not share
    stay empty.

    Returns:
        ``Pre-training``, and for every panel ``NC1 on <data set> training data`` (once per data set),
        ``Transfer accuracy on <title> (%)`` with the standard deviation if there are several seeds, then with
        ``Seeds on <title>``.

    Raises:
        DegenerateInputError: two panels have the same title.
    """
    names = (numbers["series"] + " " + numbers["label"]).str.strip()
    first = numbers["panel"] == numbers["panel"].iloc[0]
    readable = pd.DataFrame({"Pre-training": names[first].to_numpy()}, index=numbers.loc[first, "model"])
    for part in by_panel(numbers):
        part = part.set_index("model")
        measured = f"NC1 on {part['nc1_dataset'].iloc[0]} {SPLITS[part['split'].iloc[0]]} data"
        nc1 = part["nc1"].map(_nc1).reindex(readable.index)
        readable[measured] = nc1.combine_first(readable[measured]) if measured in readable else nc1
        title = part["title"].iloc[0]
        if f"Transfer accuracy on {title} (%)" in readable:
            raise DegenerateInputError(f"two panels have the title {title!r}; give them titles that differ")
        readable[f"Transfer accuracy on {title} (%)"] = part.apply(accuracy_text, axis=1, digits=".2f")
        if (part["seeds"] > 1).any():
            readable[f"Seeds on {title}"] = part["seeds"].map(str)
    return readable.fillna("").reset_index(drop=True)


def _nc1(value: float) -> str:
    """Three decimals, unless they would all be zeros."""
    return spread(value, math.nan, 1, ".1e" if value < 0.0005 else ".3f")
