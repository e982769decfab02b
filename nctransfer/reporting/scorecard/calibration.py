"""How often the scorecard's tests err, and how often they find what the paper describes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer import intervals, variants
from nctransfer.reporting.scorecard import statistics, verdicts
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings
from nctransfer.reporting.scorecard.worlds import Truth


def truths(claim: JudgedClaimSettings) -> dict[str, list[float]]:
    """By kind of world a claim's true numbers: at the null hypothesis, reversed, and expected.

    Noise lies at the threshold, that of an equivalence test at both of its ends; a reversed effect lies as
    far beyond as the expected one lies within (as many times, if both are positive).
    """
    ends = [end for end in verdicts.bound_of(claim).ends if np.isfinite(end)]
    expected = claim.expected.effect if claim.expected else ends[0]
    opposite = [end**2 / expected if min(end, expected) > 0 else 2 * end - expected for end in ends]
    return {"noise": ends, "reversed": opposite, "expected": [expected]}


def simulated(
    claim: JudgedClaimSettings, rows: pd.DataFrame, effect: float, worlds: int, seed: int
) -> dict[str, float]:
    """Share of simulated worlds with each verdict."""
    statistic = variants.load(statistics, claim.statistic, needs=["simulate"])
    options, generator = verdicts.read_options(claim), np.random.default_rng([seed, *claim.row.encode()])
    truth = Truth(effect, claim.expected.spread if claim.expected else 1.0)
    found = [
        verdicts.verdict(verdicts.measure(claim, statistic.simulate(rows, options, truth, generator)))
        for _ in range(worlds)
    ]
    return {each: found.count(each) / worlds for each in verdicts.VERDICTS}


def calibrate_row(
    claim: JudgedClaimSettings, worlds: int, pictures: Mapping[str, pd.DataFrame], folder: Path
) -> list[dict[str, Any]]:
    """Shares of verdicts in kinds of worlds of one row.

    ``pictures`` are figures and tables of the paper's own set-up; where the paper prints the numbers, its
    table in ``folder`` gives the rows.

    Returns:
        one row per world: row, claim, world (noise, reversed, expected), effect (the true number), holds
        (share of the worlds) with its interval low to high, does_not_hold, no_data, worlds (their number).
    """
    printed = claim.published.table if claim.published and claim.published.column is None else None
    if printed is not None:  # the paper's own rows
        rows = verdicts.rows_of(claim, {claim.where[0]: read_numbers(folder / printed)})
    else:
        rows = verdicts.rows_of(claim, pictures)
    if isinstance(rows, str):
        return [{"row": claim.row, "world": "noise", "note": rows}]
    rows = verdicts.narrow(rows, [claim])
    found: list[dict[str, Any]] = []
    for kind, effects in truths(claim).items():
        for effect in effects:
            shares = simulated(claim, rows, effect, worlds, len(found))
            tested = stats.binomtest(round(shares["holds"] * worlds), worlds)
            low, high = tested.proportion_ci(method="wilson")
            world = {
                "row": claim.row, "claim": claim.claim, "world": kind, "effect": effect,
                "holds": shares["holds"], "low": float(low), "high": float(high),
                "does_not_hold": shares[verdicts.FAILS], "no_data": shares[verdicts.UNKNOWN],
                "worlds": worlds,
            }  # fmt: skip
            found.append(world)
    return found


def tests_table(calibration: pd.DataFrame, claims: Sequence[JudgedClaimSettings]) -> str:
    """The errors and the power of every row's test, in Markdown."""
    lines = [
        "| row | test | noise: holds | reversed: holds | as the paper describes: effect, from | power |",
        "|---|---|---|---|---|---|",
    ]
    for claim in claims:
        part = calibration[calibration["row"] == claim.row]
        cells = [claim.row, claim.effect]
        for world in ("noise", "reversed"):
            found = part[part["world"] == world].sort_values("holds")
            cells.append(_share(found.iloc[-1]) if len(found) else "")  # the worse end of an equivalence test
        expected = claim.expected
        cells.append(f"{expected.effect:g}, {expected.origin}" if expected else "")
        found = part[part["world"] == "expected"]
        cells.append(_share(found.iloc[0]) if len(found) else "")
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _share(found: pd.Series) -> str:
    shares = (100 * float(found[column]) for column in ("holds", "low", "high"))
    return "{:.1f} % [{:.1f}, {:.1f}]".format(*shares)


def coverage_table(samples: int) -> str:
    """How often the intervals of correlations of two normals contain the truth, in Markdown."""
    lines = ["| points | correlation | r | r² | Spearman's rho | weighted tau |", "|---|---|---|---|---|---|"]
    generator = np.random.default_rng(0)
    for points in (5, 7, 10, 15, 25):
        for correlation in (0.0, 0.5, 0.8, 0.95):
            drawn = generator.normal(size=(2, samples, points))
            x, y = drawn[0], correlation * drawn[0] + np.sqrt(1 - correlation**2) * drawn[1]
            r = np.array([np.corrcoef(*pair)[0, 1] for pair in zip(x, y, strict=True)])
            rho, tau = intervals.rank_correlations(np.take_along_axis(y, (-x).argsort(1), 1))
            rank = 6 / np.pi * np.arcsin(correlation / 2)
            shares = [
                _covered(r, correlation, intervals.pearson_interval, points),
                _covered(r, correlation**2, intervals.r2_interval, points),
                _covered(rho, rank, intervals.spearman_interval, points),
                _covered(tau, float(tau.mean()), intervals.weighted_tau_interval, points),
            ]
            cells = [str(points), f"{correlation:g}", *(f"{100 * share:.1f} %" for share in shares)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _covered(
    found: np.ndarray, truth: float, interval: Callable[[float, int], tuple[float, float]], points: int
) -> float:
    ends = np.array([interval(float(value), points) for value in found])
    return float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])))
