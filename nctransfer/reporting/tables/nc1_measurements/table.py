"""Which figures and tables show NC1, and of what (Table 1 of the paper)."""

from collections.abc import Sequence

import pandas as pd

from nctransfer.reporting.settings import NC1Row, TableSettings
from nctransfer.reporting.table_cells import MISSING
from nctransfer.reporting.tidy_rows import Tables
from nctransfer.reporting.titles import WORDS, plain_number

SETTINGS = TableSettings[NC1Row]

LISTS = ("pictures", "what", "models", "runs", "datasets", "images", "features")
NUMBERS = ("section", "networks", "data", *LISTS, "model_count", "run_count")
COLUMNS = ("Section", "Networks", "NC1 on", "Data sets", "Images", "Features", "Models", "Shown in", "What")


def tabulate(settings: TableSettings[NC1Row], tables: Tables) -> pd.DataFrame:
    """All contents of the table, one row per section and kind of NC1.

    Returns:
        section, networks (pre-trained or fine-tuned: those whose NC1 is measured), data (source, downstream
        or both), pictures, what, models, runs, datasets, images and features (texts, separated by "; "), the
        numbers model_count and run_count.
    """
    rows = []
    for row in settings.panels:
        found = (row.pictures, row.what, row.models, row.runs, row.datasets, row.images, row.features)
        lists = {name: "; ".join(texts) for name, texts in zip(LISTS, found, strict=True)}
        counts = {"model_count": len(row.models), "run_count": len(row.runs)}
        rows.append({"section": row.section, "networks": row.networks, "data": row.data, **lists, **counts})
    return pd.DataFrame(rows, columns=list(NUMBERS))


def present(numbers: pd.DataFrame, settings: TableSettings[NC1Row]) -> pd.DataFrame:
    """The readable form, from the lists of the settings."""
    rows = [
        {
            "Section": row.section or MISSING,
            "Networks": row.networks,
            "NC1 on": f"{row.data} data",
            "Data sets": ", ".join(row.datasets),
            "Images": "; ".join(row.images),
            "Features": "; ".join(row.features),
            "Models": ", ".join(row.pool) + (f"; {len(row.runs)} runs" if row.runs else ""),
            "Shown in": _pictures(row.pictures),
            "What": "; ".join(row.what),
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
