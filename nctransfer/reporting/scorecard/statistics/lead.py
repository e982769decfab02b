"""Until how many samples a method is ahead of full fine-tuning (Fig. 8)."""

from collections.abc import Iterator

import pandas as pd

from nctransfer.reporting.scorecard.findings import Finding, nothing, one_row, parts
from nctransfer.settings import Settings


class Options(Settings):
    """Which method."""

    method: str
    """Name of a method, compared with full fine-tuning."""


def measure(table: pd.DataFrame, options: Options) -> Iterator[Finding]:
    """Samples a class from which on full fine-tuning is ahead of ``method``, over the fewest, in every panel.

    It is 1 where full fine-tuning is ahead from the start, and the most over the fewest where it never is.
    """
    for name, part in parts(table):
        trained = part.dropna(subset=["per_class"])
        (row, why), (full, why_not) = (
            one_row(trained, {"method": method, "per_class": "lowest"})
            for method in (options.method, "full_ft")
        )
        if row is None or full is None:
            yield nothing(name, why or why_not)
            continue
        fewest, most = trained["per_class"].min(), trained["per_class"].max()
        turn, gap = row["full_ft_ahead_from"], row["transfer_accuracy"] - full["transfer_accuracy"]
        until = (
            f"ahead up to {most:g} samples a class, the most tried"
            if pd.isna(turn)
            else f"full FT is ahead from about {turn:.3g} samples a class on"
        )
        reach = (most if pd.isna(turn) else turn) / fewest
        note = f"{gap:+.2f} points with {fewest:g}; {until}"
        yield Finding(name, float(reach), points=trained["per_class"].nunique(), note=note)
