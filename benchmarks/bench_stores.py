"""Layouts of a feature store, side by side in one process: write it, open one unit.

    python benchmarks/bench_stores.py [--rows 50000 --units 16 --width 512 --repeats 3]

* arrays: one ``.npy`` file per unit in a folder beside the manifest, as stored (``features: {format: npy}``)
* parquet: one Parquet file with a binary column per unit, as stored (``features: {format: parquet}``)
* joined: one ``.npy`` file with the columns of all units, as in (N, sum of widths)
* flat: the arrays alone, ``numpy.save`` and ``numpy.load``, without checksums: the floor

Opening verifies the checksum of what is read, then sums the unit; the MB are what is read for that. Medians;
the runs of all candidates are interleaved.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import summary

from nctransfer.features.feature_store import FeatureStore, column_name, write_columns
from nctransfer.storage.stores import Store, create_store


def write_store(manifest: Path, features: dict[str, np.ndarray], file_format: str) -> None:
    """Write a feature store in blocks of 500 rows, as extraction does."""
    rows, widths = len(next(iter(features.values()))), {name: x.shape[1] for name, x in features.items()}
    with create_store(manifest, "features") as store:
        store.put("labels", np.zeros(rows, np.int64))
        with write_columns(store, widths, rows, "float32", file_format) as columns:
            for start in range(0, rows, 500):
                columns.append({name: x[start : start + 500] for name, x in features.items()})
        described = [
            {"name": name, "unit": 0, "module": "", "pooling": "avg", "width": width}
            for name, width in widths.items()
        ]
        store.meta = {"samples": rows, "class_names": ["a"], "format": file_format, "dtype": "<f4"}
        store.meta["columns"] = described


def write_joined(manifest: Path, features: dict[str, np.ndarray]) -> None:
    """Write all columns as one array in blocks of 500 rows."""
    rows, width = len(next(iter(features.values()))), sum(x.shape[1] for x in features.values())
    with create_store(manifest, "features") as store:
        array = store.array("joined", (rows, width), np.float32)
        for start in range(0, rows, 500):
            array.append(np.concatenate([x[start : start + 500] for x in features.values()], axis=1))


def write_flat(folder: Path, features: dict[str, np.ndarray]) -> None:
    """Save every array."""
    folder.mkdir(parents=True)
    for name, x in features.items():
        np.save(folder / f"{name}.npy", x)


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("rows", 50_000), ("units", 16), ("width", 512), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    names = [column_name(unit, "avg") for unit in range(options.units)]
    features = {name: random.random((options.rows, options.width), np.float32) for name in names}
    chosen, start = names[options.units // 2], options.units // 2 * options.width
    part = slice(start, start + options.width)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        places = {name: folder / name / "manifest.json" for name in ("arrays", "parquet", "joined", "flat")}
        write: dict[str, Callable[[], None]] = {
            "arrays": lambda: write_store(places["arrays"], features, "npy"),
            "parquet": lambda: write_store(places["parquet"], features, "parquet"),
            "joined": lambda: write_joined(places["joined"], features),
            "flat": lambda: write_flat(places["flat"].parent, features),
        }
        read: dict[str, Callable[[], np.ndarray]] = {
            "arrays": lambda: FeatureStore(places["arrays"])[chosen],
            "parquet": lambda: FeatureStore(places["parquet"])[chosen],
            "joined": lambda: Store(places["joined"], "features").array("joined")[:, part],
            "flat": lambda: np.load(places["flat"].with_name(f"{chosen}.npy"), mmap_mode="r"),
        }
        seconds: dict[tuple[str, str], list[float]] = {}
        for _ in range(options.repeats):
            for name, call in write.items():
                shutil.rmtree(places[name].parent, ignore_errors=True)
                seconds.setdefault((name, "write"), []).append(timed(call))
            for name, opened in read.items():
                seconds.setdefault((name, "open"), []).append(timed(lambda opened=opened: opened().sum()))
        unit = features[chosen].nbytes / 1e6
        megabytes = {
            "arrays": unit,
            "parquet": options.units * unit,
            "joined": options.units * unit,
            "flat": unit,
        }
        for what in ("write", "open"):
            ours, parquet = (statistics.median(seconds[name, what]) for name in ("arrays", "parquet"))
            summary.add(f"features: {what}", ours, peer="one Parquet file", peers=parquet)
        for name in write:
            took = {what: statistics.median(seconds[name, what]) for what in ("write", "open")}
            ratios = {what: took[what] / statistics.median(seconds["flat", what]) for what in took}
            print(
                f"{name:8} write {took['write']:6.2f} s ({ratios['write']:5.2f} x)   open one unit "
                f"{took['open']:6.3f} s ({ratios['open']:6.2f} x, {megabytes[name]:.0f} MB)"
            )


if __name__ == "__main__":
    main()
