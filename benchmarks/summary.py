"""One row for each comparison of a benchmark, and the table of all: ``python benchmarks/summary.py FILE``.

Where the environment names a file, ``BENCHMARK_ROWS``, every benchmark adds its rows there as JSON lines.
"""

import json
import os
import sys
from pathlib import Path

COLUMNS = ("stage", "ours", "floor", "ours / floor", "peer", "peer's", "peer's / ours")


def add(
    stage: str, ours: float, *, floor: float | None = None, peer: str = "", peers: float | None = None
) -> None:
    """Add a row: seconds of a stage, of the least that it must do, and of the obvious alternative."""
    found = {"stage": stage, "ours": ours, "floor": floor, "peer": peer, "peer's": peers}
    found["ours / floor"] = None if floor is None else ours / floor
    found["peer's / ours"] = None if peers is None else peers / ours
    if path := os.environ.get("BENCHMARK_ROWS"):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")


def main() -> None:
    """Print the rows of a file as a table."""
    import pandas as pd

    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    print(table.to_string(index=False, na_rep="", float_format="{:.3g}".format))


if __name__ == "__main__":
    main()
