"""Simulate how often the tests of the paper's claims err: ``make scorecard-calibration``.

Worlds are simulated in the figures and tables of ``config.yaml``, with their own numbers of models, units,
seeds and test images. Writes ``config/calibration.csv``, which the scorecard reads, and the tables of
docs/statistics.md.
"""

import argparse
import re
import zlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nctransfer import variants
from nctransfer.config import claims as claims_of
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.reporting import figures, tables
from nctransfer.reporting.scorecard.calibration import calibrate_row, coverage_table, tests_table
from nctransfer.reporting.scorecard.settings import JudgedClaimSettings
from nctransfer.storage.files import save_text

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
    """A tidy table with the rows and columns that its job would write, and random numbers."""
    images = next((count for dataset, count in TEST_IMAGES.items() if dataset in f"{model}-{view}"), 2000)
    number = np.random.default_rng(zlib.crc32(f"{name}/{model}/{view}".encode()))
    if name == "finetuning":
        constant = {"statistics": "update", "epochs": 200, "trained": 50, "parameters": 100, "share": 50.0}
        measured = {"samples": images, "accuracy": number.uniform(40, 90, 2), "loss": 1.0}
        return pd.DataFrame({"split": ["train", "test"]} | measured | constant)
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
        chosen = {"learning_rate": 0.1, "weight_decay": 1e-4, "seed": 0, "right_with_last": images // 50}
        parts = [base.assign(split=split, **chosen) for split in ("train", "test")]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(**{"value" if name == "metrics" else "accuracy": number.uniform(2.1, 90, len(table))})


def paper_layouts(root: Path, claims: Sequence[JudgedClaimSettings]) -> dict[str, pd.DataFrame]:
    """Layouts of the figures and tables of the paper's own set-up that claims read."""
    plan = Plan(load(root / "config.yaml"), root)
    return layouts(plan, claims_of.pictures_read(claims))


def with_tables(text: str, written: dict[str, str]) -> str:
    """A page of Markdown with new tables, each between its marks."""
    for name, table in written.items():
        pattern = rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)"
        escaped = table.replace("\\", "\\\\")
        text = re.sub(pattern, f"\n{escaped}\n", text, flags=re.DOTALL)
    return text


def main() -> None:
    """Calibrate the paper's claims, or some of their rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=2000, help="worlds of each kind")
    parser.add_argument("--rows", nargs="*", default=[], help="only these rows; the others stay as they are")
    arguments = parser.parse_args()
    claims, root = claims_of.read_claims(claims_of.OWN), Path.cwd()
    chosen = [claim for claim in claims if not arguments.rows or claim.row in arguments.rows]
    path = claims_of.OWN.parent / "calibration.csv"
    work = partial(
        calibrate_row, worlds=arguments.worlds, pictures=paper_layouts(root, claims), folder=path.parent
    )
    with ProcessPoolExecutor() as pool:
        found = pd.DataFrame([entry for entries in pool.map(work, chosen) for entry in entries])
    if arguments.rows:
        kept = pd.read_csv(path, dtype={"row": str})
        found = pd.concat([kept[~kept["row"].isin(found["row"])], found])
    order = [claim.row for claim in claims]
    found = found.sort_values("row", key=lambda rows: rows.map(order.index), kind="stable")
    save_text(found.to_csv(index=False, float_format="%.6g"), path)
    written = {"tests": tests_table(found, claims), "coverage": coverage_table(arguments.worlds)}
    page = root / "docs/statistics.md"
    save_text(with_tables(page.read_text(encoding="utf-8"), written), page)


if __name__ == "__main__":
    main()
