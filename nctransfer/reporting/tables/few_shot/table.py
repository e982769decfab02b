"""Few-shot accuracy beside the collapse of the meta-test features (Table 2 of the paper)."""

from typing import Any

import pandas as pd

from nctransfer.reporting.panels import by_panel, led_by, letter
from nctransfer.reporting.settings import EpisodesPanel, TableSettings
from nctransfer.reporting.table_cells import MISSING, Cell, as_written, emphasised, spread
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = TableSettings[EpisodesPanel]

# Columns of the readable form that occur once for all numbers of shots, and their headings.
COLLAPSE = {"nc1": "NC1 of the meta-test images", "nc1_query": "NC1 of the query images"}
DIGITS = ".2f"
NC1_DIGITS = ".3g"


def tabulate(settings: TableSettings[EpisodesPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the table, one row per panel, point and number of shots.

    Returns:
        panel, title, series, label, and the columns of :func:`nctransfer.tidy.few_shot.few_shot_table`.
    """
    parts = []
    for index, panel in enumerate(settings.panels):
        for point in panel.points:
            episodes = tables["few_shot", point.model, point.view]
            of_point = point.model_dump(include={"series", "label"})
            parts.append(led_by(episodes, panel=letter(index), title=panel.title, **of_point))
    return pd.concat(parts, ignore_index=True)


def present(numbers: pd.DataFrame, settings: TableSettings[EpisodesPanel]) -> pd.DataFrame:
    """The readable form, one row per panel and point; the best and second best of a panel are emphasised.

    Returns:
        ``Data set``, ``Architecture``, for every number of shots the accuracy (%) with half its 95 %
        interval, and NC1 of all meta-test images and, as mean over episodes, of the query images.
    """
    return pd.concat(map(_block, by_panel(numbers)), ignore_index=True).fillna(MISSING)


def _block(part: pd.DataFrame) -> pd.DataFrame:
    # a point is its series and label: one model may have two names
    points = [rows for _, rows in part.groupby(["series", "label"], sort=False)]
    first = pd.DataFrame([rows.iloc[0] for rows in points])
    block: dict[str, list[Any]] = {
        "Data set": list(first["title"]),
        "Architecture": [f"{row.series} {row.label}".strip() for row in first.itertuples()],
    }
    for (ways, shots), _ in part.groupby(["ways", "shots"], sort=True):
        chosen = [rows[rows["shots"] == shots].iloc[0] for rows in points]
        block[f"{ways}-way {shots}-shot (%, ± 95 %)"] = _accuracies(pd.DataFrame(chosen))
    block |= {heading: _collapses(first[column]) for column, heading in COLLAPSE.items()}
    return pd.DataFrame(block, dtype=object)


def _accuracies(rows: pd.DataFrame) -> list[str | Cell]:
    reach = (rows["accuracy_high"] - rows["accuracy_low"]) / 2
    # published accuracies have no interval
    texts = [spread(*row, DIGITS) for row in zip(rows["accuracy"], reach, rows["episodes"], strict=True)]
    return emphasised(texts, [as_written(mean, DIGITS) for mean in rows["accuracy"]])


def _collapses(values: pd.Series) -> list[str | Cell]:
    texts = [MISSING if pd.isna(value) else f"{value:#{NC1_DIGITS}}".rstrip(".") for value in values]
    return emphasised(texts, [-as_written(value, NC1_DIGITS) for value in values])
