"""Whether a method is ahead of full fine-tuning, or behind it, while samples are few (Fig. 8)."""

from dataclasses import replace

import numpy as np
import pandas as pd

from nctransfer.reporting.fits import crossing
from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound
from nctransfer.reporting.scorecard.worlds import Random, Truth, runs
from nctransfer.settings import Count, Settings

VALUE = "transfer_accuracy"


class Options(Settings):
    """Method, and up to how many samples it is compared."""

    method: str
    """Name of a method, to be compared with full fine-tuning at every number of samples."""
    sizes: Count | None = None
    """How many of the smallest numbers of samples count ..."""
    until: float | None = None
    """... or all numbers up to this multiple of the smallest."""


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """The least lead over full fine-tuning, over panels and numbers of samples: all must hold.

    The note gives the number of samples at which the curves cross, with the pointwise 95 % band.
    """
    found: list[findings.Finding] = []
    shown: list[findings.Part] = []
    for name, part in findings.parts(table):
        if not (part["method"] == options.method).any():
            continue
        pairs = _pairs(part, options)
        if isinstance(pairs, str):
            return findings.nothing(f"{name}: {pairs}", parts=shown)
        turn = _crossing(part, options.method)
        for size, gap in pairs.items():
            if np.isnan(gap.low):
                return findings.nothing(f"{name}: no interval of single runs", parts=shown)
            label = f"{name}, {size:g} samples a class"
            shown.append(findings.Part(label, gap.value, gap.low, gap.high, gap.points, turn))
            note = "; ".join(filter(None, [label, turn]))
            found.append(findings.finding_of(gap, bound, note=note))
    if not found:
        return findings.nothing(f"no rows of {options.method}")
    return replace(findings.weakest(found), parts=tuple(shown))


def _pairs(part: pd.DataFrame, options: Options) -> dict | str:
    """Differences to full fine-tuning by number of samples, or what is missing."""
    sizes = np.sort(part.loc[part["method"] == "full_ft", "per_class"].dropna().unique())
    if not len(sizes):
        return "no rows of full_ft"
    chosen = sizes[: options.sizes] if options.sizes else sizes[sizes <= (options.until or 1) * sizes[0]]
    pairs = {}
    for size in chosen:
        full, reason = findings.one_row(part, {"method": "full_ft", "per_class": float(size)})
        row, other = _of_method(part, options.method, float(size))
        if full is None or row is None:
            return reason or other
        pairs[float(size)] = findings.accuracy_gap(row, full, VALUE)
    return pairs


def _of_method(part: pd.DataFrame, method: str, size: float) -> tuple[pd.Series | None, str]:
    """The row of a method; what is trained on nothing stands at no number of samples."""
    rows = findings.select(part, {"method": method})
    constant = rows["per_class"].isna().all()
    return findings.one_row(rows, {"method": method} if constant else {"per_class": size})


def _crossing(part: pd.DataFrame, method: str) -> str:
    """From how many samples on full fine-tuning is ahead, and where the lead's 95 % band crosses zero."""
    of_method, full = (
        rows.dropna(subset="per_class").drop_duplicates("per_class", keep=False).sort_values("per_class")
        for rows in (part[part["method"] == method], part[part["method"] == "full_ft"])
    )
    sizes = np.intersect1d(of_method["per_class"], full["per_class"]).astype(float)
    if not len(sizes):
        return ""
    of_method, full = (rows.set_index("per_class") for rows in (of_method, full))
    gaps = [findings.accuracy_gap(of_method.loc[size], full.loc[size], VALUE) for size in sizes]
    values = np.array([gap.value for gap in gaps])
    half = np.array([gap.high - gap.low for gap in gaps]) / 2
    point = _text(crossing(sizes, values))
    if np.isnan(half).any():
        return f"full FT is ahead {point}"
    ends = _text(crossing(sizes, values - half)), _text(crossing(sizes, values + half))
    return f"full FT is ahead {point} [{ends[0]}, {ends[1]}]"


def _text(size: float) -> str:
    return "at none of the numbers" if np.isnan(size) else f"from {size:.3g} samples a class"


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Full fine-tuning is behind by the effect at all numbers of samples; the spread is over seeds."""
    truths = np.where(table["method"] == options.method, 70.0 + truth.effect, 70.0)
    return runs(table, VALUE, truths, truth.spread, generator)
