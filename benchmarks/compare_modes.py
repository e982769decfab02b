"""What each mode of extraction changes in a ranking.

    python benchmarks/compare_modes.py overlay.yaml

runs `rank` of an overlay once in every mode, in the folder of the call (images, models and random numbers are
the same for all), and prints for each data set the largest relative difference of NC1 and the largest
difference of a probe's accuracy over all models and units, and the scores under which two models change
places. The numbers in docs/ranking.md are from it.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

MODES = {
    "": "{}",
    "folded": "{fold_batch_norm: true}",
    "bf16": "{precision: bfloat16}",
    "folded.bf16": "{fold_batch_norm: true, precision: bfloat16}",
    "openvino": "{engine: openvino}",
    "openvino.bf16": "{engine: openvino, precision: bfloat16}",
}


def rank(overlay: Path, features: str) -> None:
    command = [sys.executable, "-m", "snakemake", "-j1", "--quiet", "all", "--configfile", str(overlay)]
    changes = [f"features={features}", "device=cpu"]
    subprocess.run([*command, "--config", *changes, "--", "rank"], check=True)


def differences(found: pd.DataFrame, usual: pd.DataFrame) -> tuple[float, float, list[str]]:
    """Of NC1, of the probes' accuracy, and the scores under which two models change places."""
    keys = ["comparison", "model", "unit", "pooling", "kind", "name"]
    both = usual.merge(found, on=keys, suffixes=("", "_found"))
    nc1, probe = (both[both["name"] == name] for name in ("nc1", "probe"))
    models = both[(both["comparison"] == "models") & (both["kind"] != "term")]
    changed = [
        str(name)
        for name, part in models.dropna(subset=["value"]).groupby("name")
        if not np.array_equal(
            np.argsort(part["value"], stable=True), np.argsort(part["value_found"], stable=True)
        )
    ]
    relative = (nc1["value_found"] / nc1["value"] - 1).abs().max()
    return float(relative), float((probe["value_found"] - probe["value"]).abs().max()), changed


def main(overlay: Path) -> None:
    study = yaml.safe_load(overlay.read_text())
    tables: dict[str, dict[str, pd.DataFrame]] = {dataset: {} for dataset in study["rank"]["datasets"]}
    for mode, features in MODES.items():
        rank(overlay, features)
        for dataset, found in tables.items():
            found[mode] = pd.read_parquet(Path("results", study["study"], "rank", f"{dataset}.parquet"))
    for dataset, found in tables.items():
        for mode, table in found.items():
            nc1, probe, changed = differences(table, found[""])
            row = {"dataset": dataset, "mode": mode or "default"}
            print(json.dumps(row | {"nc1": f"{nc1:.1e}", "probe": round(probe, 2), "order": changed}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("overlay", type=Path)
    main(parser.parse_args().overlay)
