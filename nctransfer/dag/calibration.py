"""How often the scorecard's tests err, and how often they find what the paper describes.

``make scorecard-calibration`` simulates worlds for every row of the paper's claims, in the figures and tables
of ``config.yaml`` with their own numbers of models, units, seeds and test images, and writes
``config/calibration.csv``, which the scorecard reads, and the tables of docs/statistics.md.
"""

import argparse
import zlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from nctransfer import variants
from nctransfer.config import claims as claims_of
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.reporting import figures, tables
from nctransfer.reporting.scorecard import statistics, verdicts
from nctransfer.reporting.scorecard.findings import read_numbers
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings
from nctransfer.reporting.scorecard.worlds import Truth

TEST_IMAGES = {"cifar10": 10_000, "cifar100": 10_000, "aircraft": 3333, "dtd": 1880, "pet": 3669}


def layouts(plan: Plan, keys: Iterable[str]) -> dict[str, pd.DataFrame]:
    """The rows of figures and tables as they will be, with placeholders for what is measured."""
    found = {}
    for key in keys:
        section = "figures" if key in plan.configuration.figures else "tables"
        settings: Any = plan.picture(section, key).settings
        package, part = (figures, "figure") if section == "figures" else (tables, "table")
        read = {
            (name, model, view): placeholder(name, model, view, plan) for name, model, view in settings.tables
        }
        found[key] = variants.load(package, settings.kind, part).tabulate(settings, read)
    return found


def placeholder(name: str, model: str, view: str, plan: Plan) -> pd.DataFrame:
    """A tidy table with the rows and columns that its job would write, and 1 for what it measures."""
    images = next((count for dataset, count in TEST_IMAGES.items() if dataset in f"{model}-{view}"), 2000)
    number = np.random.default_rng(zlib.crc32(f"{name}/{model}/{view}".encode()))
    if name == "finetuning":
        constant: dict[str, Any] = {"statistics": "update", "epochs": 200, "trained": 50, "parameters": 100}
        rows = {
            "split": ["train", "test"],
            "samples": images,
            "accuracy": number.uniform(40, 90, 2),
            "loss": 1.0,
        }
        return pd.DataFrame(rows | constant | {"share": 50.0})
    if name == "few_shot":
        shots = {"model": model, "view": view, "shots": [1, 5], "accuracy": number.uniform(40, 90, 2)}
        return pd.DataFrame(shots | {"nc1": number.uniform(1, 9)})
    facts = plan.study.facts(model)
    places = [("unit", unit, pooling) for unit in range(facts.known.units + 1) for pooling in facts.poolings]
    places += [("penultimate", -1, ""), ("summed", -1, "")]
    base = pd.DataFrame(places, columns=["module", "unit", "pooling"])
    base = base.assign(width=64, samples=images, classes=10, rank=9)
    if name == "metrics":
        parts = [base.assign(split="train", metric=metric) for metric in ("nc1", "nc1_shuffled", "cdnv")]
    else:
        chosen = {"learning_rate": 0.1, "weight_decay": 1e-4, "seed": 0}
        parts = [base.assign(split=split, **chosen) for split in ("train", "test")]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(**{"value" if name == "metrics" else "accuracy": number.uniform(2.1, 90, len(table))})


def truths(claim: JudgedClaimSettings) -> dict[str, list[float]]:
    """By kind of world a claim's true numbers: at the null hypothesis, reversed, and expected.

    Noise lies at the threshold, that of an equivalence test at both of its ends; a reversed effect lies as
    far beyond as the expected one lies within.
    """
    low, high = verdicts.bound_of(claim).ends
    ends = [end for end in (low, high) if np.isfinite(end)]
    if claim.statistic == "largest":  # which may be equal to the threshold, and nothing varies
        ends = [1.01 * end for end in ends]
    expected = claim.expected.effect if claim.expected else ends[0]
    ratio = (ends[0] > 0 and "ratio" in str(claim.options.get("scale", ""))) or claim.statistic in RATIOS
    if len(ends) == 2:
        apart = [end + (end - expected if not ratio else end * (end / expected) - end) for end in ends]
    elif ratio:
        apart = [ends[0] * ends[0] / expected]
    else:
        apart = [2 * ends[0] - expected]
    limit = {"correlation": 0.99, "along_units": 0.99, "sign_test": 1.0, "place": 0.3}.get(claim.statistic)
    if limit is not None:
        apart = [
            float(np.clip(effect, -limit if claim.statistic != "sign_test" else 0.0, limit))
            for effect in apart
        ]
    if claim.statistic in ("correlation", "along_units"):
        apart = [abs(expected) * (1 if expected < 0 else -1) for effect in apart]
    return {"noise": ends, "reversed": apart, "expected": [expected]}


ALWAYS = ("panel", "title", "method", "per_class", "seeds", "test_samples", "depth", "model")
RATIOS = ("order", "halves", "highest_ratio")


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
    claim: JudgedClaimSettings,
    worlds: int,
    pictures: Mapping[str, pd.DataFrame],
    kinds: Sequence[str] = ("noise", "reversed", "expected"),
) -> list[dict[str, Any]]:
    """Shares of verdicts in kinds of worlds of one row."""
    printed = claim.published.table if claim.published and claim.published.column is None else None
    if printed is not None:  # the paper's own rows
        key, table = claim.where[0], read_numbers(claims_of.OWN.parent / printed)
        rows = verdicts.rows_of(claim, {key: table})
    else:
        rows = verdicts.rows_of(claim, pictures)
    if isinstance(rows, str):
        return [{"row": claim.row, "world": "noise", "note": rows}]
    named = str(verdicts.read_options(claim))  # the fewer columns, the faster
    rows = rows[[column for column in map(str, rows) if column in ALWAYS or column in named]]
    found: list[dict[str, Any]] = []
    for kind, effects in truths(claim).items():
        if kind not in kinds:
            continue
        for effect in effects:
            shares = simulated(claim, rows, effect, worlds, len(found))
            low, high = stats.binomtest(round(shares["holds"] * worlds), worlds).proportion_ci(
                method="wilson"
            )
            held = {"holds": shares["holds"], "low": float(low), "high": float(high)}
            refuted, unknown = shares[verdicts.FAILS], shares[verdicts.UNKNOWN]
            more = {"does_not_hold": refuted, "no_data": unknown, "worlds": worlds}
            found.append(
                {"row": claim.row, "claim": claim.claim, "world": kind, "effect": effect} | held | more
            )
    return found


def calibrate(
    claims: Sequence[JudgedClaimSettings], worlds: int, pictures: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Shares of verdicts of all rows, by kind of world."""
    with ProcessPoolExecutor() as pool:
        found = pool.map(partial(calibrate_row, worlds=worlds, pictures=pictures), claims)
        return pd.DataFrame([entry for entries in found for entry in entries])


def paper_layouts(root: Path, claims: Sequence[JudgedClaimSettings]) -> dict[str, pd.DataFrame]:
    """Layouts of the figures and tables of the paper's own set-up that claims read."""
    plan = Plan(load(root / "config.yaml"), root)
    return layouts(plan, claims_of.pictures_read(claims))


def main() -> None:
    """Calibrate the paper's claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2000)
    parser.add_argument("--rows", nargs="*", help="only these rows")
    parser.add_argument("--out", type=Path, default=Path("config/calibration.csv"))
    arguments = parser.parse_args()
    claims = claims_of.read_claims(claims_of.OWN)
    chosen = [claim for claim in claims if not arguments.rows or claim.row in arguments.rows]
    table = calibrate(chosen, arguments.worlds, paper_layouts(Path.cwd(), claims))
    table.to_csv(arguments.out, index=False)
    print(table.to_string())


if __name__ == "__main__":
    main()
