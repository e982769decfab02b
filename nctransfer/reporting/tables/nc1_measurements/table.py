"""Which figures and tables show NC1, and of what (Table 1 of the paper)."""

from collections.abc import Sequence

import pandas as pd

from nctransfer.reporting.settings import NC1Row, TableSettings
from nctransfer.reporting.table_cells import MISSING
from nctransfer.reporting.tidy_rows import Tables
from nctransfer.reporting.titles import WORDS, plain_number

SETTINGS = TableSettings[NC1Row]

NUMBERS = (
    "section", "pictures", "what", "models", "model_count", "tuned", "runs", "run_count", "datasets",
    "data", "images", "features",
)  # fmt: skip
COLUMNS = ("Section", "Shown in", "What", "Models", "NC1 on", "Data", "Images", "Features")


def tabulate(settings: TableSettings[NC1Row], tables: Tables) -> pd.DataFrame:
    """All contents of the table, one row per section and kind of NC1.

    Returns:
        section, pictures, what, models, runs and datasets (texts, separated by "; "), the numbers
        model_count and run_count, data (source, downstream or both), tuned, features, images.
    """
    rows = []
    for row in settings.panels:
        lists = row.model_dump(include={"pictures", "what", "models", "runs", "datasets"})
        alone = row.model_dump(include={"section", "data", "tuned", "images", "features"})
        rows.append(
            alone
            | {name: "; ".join(texts) for name, texts in lists.items()}
            | {"model_count": len(row.models), "run_count": len(row.runs)}
        )
    return pd.DataFrame(rows, columns=list(NUMBERS))


def present(numbers: pd.DataFrame, settings: TableSettings[NC1Row]) -> pd.DataFrame:
    """The readable form, from the lists of the settings."""
    rows = [
        {
            "Section": row.section or MISSING,
            "Shown in": _pictures(row.pictures),
            "What": "; ".join(row.what),
            "Models": ", ".join(row.pool) + (f"; {len(row.runs)} runs" if row.runs else ""),
            "NC1 on": ", ".join(row.datasets),
            "Data": row.data,
            "Images": row.images,
            "Features": row.features,
        }
        for row in settings.panels
    ]
    readable = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    readable.attrs["text"] = COLUMNS
    return readable


def _pictures(keys: Sequence[str]) -> str:
    """Figures 1, 2; Table 2; and pictures without a number by their keys."""
    numbers: dict[str, list[str]] = {}
    others: list[str] = []
    for key in keys:
        kind, number = plain_number(key) or ("", key)
        (numbers.setdefault(kind, []) if kind else others).append(number)
    parts = [
        f"{word}{'s' if len(numbers[kind]) > 1 else ''} {', '.join(numbers[kind])}"
        for kind, word in WORDS.items()
        if kind in numbers
    ]
    return "; ".join([*parts, *others])
