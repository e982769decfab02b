"""Difference between two selections of rows, such as two methods' accuracies: the mean over parts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.reporting.scorecard import findings
from nctransfer.reporting.scorecard.estimates import Bound, Estimate, mean
from nctransfer.reporting.scorecard.settings import ComparisonSettings as Options
from nctransfer.reporting.scorecard.settings import Selection
from nctransfer.reporting.scorecard.worlds import Random, Truth, runs


def measure(table: pd.DataFrame, options: Options, bound: Bound) -> findings.Finding:
    """Mean over parts of ``value`` of the one selection less that of the other, or of their ratio.

    With three parts or more the interval is over them (Student's t), because the claim is about more than
    these. With fewer, each of them is tested, over training seeds, or over test images where there is a
    single run.
    """
    table = counting(table, options)
    gaps = differences(table, options)
    shown = [part for part, _ in gaps]
    lacking = [part.note for part in shown if np.isnan(part.effect)]
    if lacking or not gaps:
        return findings.nothing(lacking[0] if lacking else "nothing to compare", parts=shown)
    estimates = [estimate for _, estimate in gaps if estimate is not None]
    values = pd.Series([estimate.value for estimate in estimates])
    if options.cluster:
        first = table.drop_duplicates(list(options.over))[list(options.cluster)]
        values = values.groupby(findings.names_of(first, options.cluster).to_numpy(), sort=False).mean()
    if len(values) >= findings.FEW:
        whole = mean(values, findings.plural(options.cluster or options.over))
        which = "above 1" if options.scale == "ratio" else "positive"
        note = f"{sum(values > 0)} of {len(values)} {which}"
        return findings.finding_of(_scaled(whole, options), bound, shown, note)
    if any(np.isnan(estimate.low) for estimate in estimates):
        return findings.nothing(f"single runs of {len(values)} parts: no interval", parts=shown)
    return findings.weakest([findings.finding_of(_scaled(each, options), bound, shown) for each in estimates])


def _scaled(estimate: Estimate, options: Options) -> Estimate:
    return estimate if options.scale == "difference" else estimate.exponential()


def counting(table: pd.DataFrame, options: Options) -> pd.DataFrame:
    """The rows that count."""
    return table.drop(index=findings.select(table, options.not_at).index) if options.not_at else table


def differences(table: pd.DataFrame, options: Options) -> list[tuple[findings.Part, Estimate | None]]:
    """The difference at every place (of logarithms for ratios), with its own interval."""
    found: list[tuple[findings.Part, Estimate | None]] = []
    firsts, seconds = (_by_place(table, rows, options.over) for rows in (options.of, options.minus))
    for place, title in table.groupby(list(options.over), sort=False)["title"].first().items():
        key = place if isinstance(place, tuple) else (place,)
        words = (f"{column} {value}" for column, value in zip(options.over, key, strict=True))
        name = str(title) if options.over == ("panel",) else ", ".join(words)
        pair = firsts.get(key, []), seconds.get(key, [])
        wrong = [
            f"{len(rows) or 'no'} rows of {findings.described(selection)}"
            for rows, selection in zip(pair, (options.of, options.minus), strict=True)
            if len(rows) != 1
        ]
        if wrong:
            found.append((findings.Part(name, np.nan, note=wrong[0]), None))
            continue
        first, second = pair[0][0], pair[1][0]
        if options.scale == "ratio":
            first, second = (logarithm(row, options.value) for row in (first, second))
        gap = findings.accuracy_gap(first, second, options.value)
        shown = _scaled(gap, options)
        found.append((findings.Part(name, shown.value, shown.low, shown.high, gap.points), gap))
    return found


def _by_place(
    table: pd.DataFrame, rows: Selection, over: Sequence[str]
) -> dict[tuple[Any, ...], list[findings.Row]]:
    """The selected rows of every place; ``lowest`` and ``highest`` are those of the place."""
    found: dict[tuple[Any, ...], list[findings.Row]] = {}
    for row in table.loc[_selected(table, rows, over)].to_dict("records"):
        found.setdefault(tuple(row[column] for column in over), []).append(row)
    return found


def logarithm(row: findings.Row, value: str) -> findings.Row:
    """A row with the logarithm of a positive value, whose deviation is the relative one."""
    changed = dict(row)
    changed[value] = np.log(row[value]) if row[value] > 0 else np.nan
    if f"{value}_std" in row and row[value] > 0:
        changed[f"{value}_std"] = row[f"{value}_std"] / row[value]
    return changed


def simulate(table: pd.DataFrame, options: Options, truth: Truth, generator: Random) -> pd.DataFrame:
    """Differences that are normal over parts, about the effect and with the spread; accuracies about 70 %."""
    ratio = options.scale == "ratio"
    effect = float(np.log(truth.effect)) if ratio else truth.effect
    table = counting(table, options)
    codes, places = pd.factorize(findings.names_of(table, options.cluster or options.over))
    gaps = effect + truth.spread * generator.normal(size=len(places))
    ahead = table.index.isin(_selected(table, options.of, options.over))
    truths = (0.0 if ratio else 70.0) + np.where(ahead, gaps[codes], 0.0)
    if ratio:
        return runs(table, options.value, np.exp(truths), 0.0, generator)
    return runs(table, options.value, truths, 0.2, generator)


def _selected(table: pd.DataFrame, rows: Selection, over: Sequence[str]) -> pd.Index:
    """Index of the selected rows of all places."""
    if not set(findings.ENDS) & set(map(str, rows.values())):
        return findings.select(table, rows).index
    return pd.concat([findings.select(part, rows) for _, part in table.groupby(list(over), sort=False)]).index
