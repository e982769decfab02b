"""CSV files that a configuration names."""

import csv
from collections.abc import Iterable
from pathlib import Path

from nctransfer.errors import ConfigError


def read(path: Path, where: str, columns: Iterable[str]) -> list[dict[str, str]]:
    """Rows of a CSV file with these columns; ConfigError, led by the key ``where``, if not such a file."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, present = list(reader), reader.fieldnames or []
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"{where}: {str(path)!r} cannot be read ({error})") from None
    if lacking := [column for column in columns if column not in present]:
        has = ", ".join(present) or "none"
        raise ConfigError(f"{where}: {path}: no column {lacking[0]!r}; it has: {has}")
    return rows
