"""Up to how many samples a method is ahead of full fine-tuning (Fig. 8)."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, one_row, parts
from nctransfer.settings import Settings


class Options(Settings):
    """Method to compare."""

    method: str
    """Name of a method, to be compared with full fine-tuning."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Samples per class from which on full fine-tuning is ahead, divided by the fewest, in every panel.

    It is 1 if full fine-tuning is ahead from the start, and the most divided by the fewest if it never is.
    """
    for name, part in parts(table):
        trained = part.dropna(subset=["per_class"])
        (row, reason), (full, other_reason) = (
            one_row(trained, {"method": method, "per_class": "lowest"})
            for method in (options.method, "full_ft")
        )
        if row is None or full is None:
            yield nothing(name, reason or other_reason)
            continue
        fewest, most = trained["per_class"].min(), trained["per_class"].max()
        turn, gap = row["full_ft_ahead_from"], row["transfer_accuracy"] - full["transfer_accuracy"]
        until = f"full FT is ahead from about {turn:.3g} samples a class on"
        if pd.isna(turn):
            until = f"ahead up to {most:g} samples a class, the most tried"
        reach = (most if pd.isna(turn) else turn) / fewest
        note = f"{gap:+.2f} points with {fewest:g}; {until}"
        yield Finding(name, float(reach), points=trained["per_class"].nunique(), note=note)
