"""Axis ranges of published figures, which ours are framed by."""

from pathlib import Path

from nctransfer.config import csv_files
from nctransfer.errors import ConfigError
from nctransfer.reporting.settings import Window

AXES = ("abscissa", "ordinate")
COLUMNS = ("figure", "panel", "title", *(f"{axis}{end}" for axis in AXES for end in ("", "_low", "_high")))


def read_windows(path: Path) -> dict[str, tuple[Window, ...]]:
    """Windows of published panels by key of the figure, from a CSV like config/published/paper/axes.csv."""
    rows = csv_files.read(path, "style.windows", COLUMNS)
    windows: dict[str, list[Window]] = {}
    for line, row in enumerate(rows, start=2):
        try:
            ranges = {row[axis]: _range(row, axis) for axis in AXES if row[f"{axis}_low"]}
        except (TypeError, ValueError):
            allowed = "allowed are a low end and a higher one, or nothing"
            raise ConfigError(f"style.windows: {path}: line {line}: {allowed}") from None
        window = Window(panel=row["panel"], title=row["title"], ranges=ranges)
        windows.setdefault(row["figure"], []).append(window)
    return {figure: tuple(found) for figure, found in windows.items()}


def _range(row: dict[str, str], axis: str) -> tuple[float, float]:
    low, high = (float(row[f"{axis}_{end}"]) for end in ("low", "high"))
    if not low < high:
        raise ValueError
    return low, high
