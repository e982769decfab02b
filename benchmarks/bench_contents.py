"""Identity of the user's files, side by side in one process: what planning costs before anything is computed.

    python benchmarks/bench_contents.py [--files 100000 --kb 8 --gb 50 --repeats 3]

* size: names and sizes alone (``reruns: {identity: size}``), one walk
* known: SHA-256, all of it recorded before: one walk, and what the file system says of each file
* first: SHA-256 of every file, with threads, as when a data set is new
* one by one: the same in a loop over ``hashlib.file_digest``: the obvious alternative

For a folder of many small files, and for a few files of together so many GB (sparse: no disk to wait for, so
this is the most that hashing can do). Medians, in seconds; the runs of all candidates are interleaved.
"""

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import summary

from nctransfer.data.contents import RECORDS, Contents

LARGE = 5  # GB of a large file


def make_small(folder: Path, files: int, size: int) -> None:
    """Write files of a size, 1,000 to a folder, all different."""
    for index in range(files):
        path = folder / f"{index // 1000:04}" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(index.to_bytes(8, "big") * (size // 8))


def make_large(folder: Path, gigabytes: int) -> None:
    """Write sparse files of 5 GB each."""
    folder.mkdir(parents=True)
    for index in range(gigabytes // LARGE):
        with (folder / f"{index}.npy").open("wb") as file:
            file.truncate(LARGE * 10**9)


def hash_one_by_one(folder: Path) -> None:
    """The obvious alternative."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                hashlib.file_digest(file, "sha256").hexdigest()


def hash_first(folder: Path) -> None:
    """As when nothing is recorded."""
    RECORDS.unlink(missing_ok=True)
    Contents().digest(folder)


def measure(candidates: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    """Print a table of seconds, and of ratios to the obvious alternative."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--kb", type=int, default=8, help="size of a small file")
    parser.add_argument("--gb", type=int, default=50, help="size of the large files together")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        small, large = Path(folder, "small"), Path(folder, "large")
        make_small(small, options.files, options.kb * 1000)
        make_large(large, options.gb)
        for told, place in (
            (f"{options.files} files of {options.kb} kB", small),
            (f"{options.gb} GB", large),
        ):
            candidates = {
                "one by one": lambda place=place: hash_one_by_one(place),
                "first": lambda place=place: hash_first(place),
                "known": lambda place=place: Contents().digest(place),
                "size": lambda place=place: Contents("size").digest(place),
            }
            found = measure(candidates, options.repeats)
            first = found["one by one"]
            summary.add(f"digests of {told}", found["first"], peer="file by file", peers=first)
            summary.add(f"known digests of {told}", found["known"], peer="file by file", peers=first)
            for name, seconds in found.items():
                print(f"{told:>24}  {name:<10} {seconds:8.2f} s  {seconds / found['one by one']:6.2f} x")


if __name__ == "__main__":
    main()
