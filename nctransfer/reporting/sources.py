"""How well the models of a figure or table classify their source data, and whether they were trained."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from nctransfer.reporting.tidy_rows import Tables
from nctransfer.settings import SourceAccuracySettings
from nctransfer.training.history import clean_accuracies

SHORTFALL = "source_shortfall"
COLUMNS = (
    "source_train_accuracy", "source_test_accuracy", "source_epochs", "source_steps", SHORTFALL,
)  # fmt: skip


def with_sources(
    numbers: pd.DataFrame, sources: Sequence[SourceAccuracySettings], tables: Tables
) -> pd.DataFrame:
    """Add the accuracy on the source data, and the training behind it, to the numbers of a figure or table.

    ``numbers`` have a column ``model``; those without one are returned as they are. ``tables`` has
    ``history`` of the models that are trained here (no view).

    Returns:
        the numbers, and source_train_accuracy and source_test_accuracy (percent, of clean images; the first
        is known of models that are trained here, when they are finished), source_epochs, source_steps (NA of
        other models), and source_shortfall: by how many points the model misses, on the split where it is
        further off, what it must reach to count as trained. It is 0 for one that reaches it, and NaN where
        nothing is asked.
    """
    if "model" not in numbers:
        return numbers
    known = pd.DataFrame([_row(source, tables) for source in sources], columns=["model", *COLUMNS])
    known = known.astype({"source_epochs": "Int64", "source_steps": "Int64"})
    return numbers.merge(known, "left", on="model", validate="many_to_one")


def _row(source: SourceAccuracySettings, tables: Tables) -> dict[str, object]:
    if source.history is None:
        return {"model": source.model, "source_test_accuracy": source.accuracy}
    history = tables["history", source.history, ""]
    if "steps" not in history:  # of an earlier version, whose training images were not the finished network's
        history = history[history["split"] == "test"].assign(steps=np.nan)
    if source.epoch is not None:
        history = history[history["epoch"] == source.epoch]
    reached = clean_accuracies(history)
    # an accuracy that nobody measured reaches nothing
    missed = [least - reached.get(split, 0.0) for split, least in source.must_reach.items()]
    return {
        "model": source.model,
        **{f"source_{split}_accuracy": reached.get(split, np.nan) for split in ("train", "test")},
        "source_epochs": history["epoch"].max(),
        "source_steps": history["steps"].max(),
        SHORTFALL: max(0.0, *missed) if missed else np.nan,
    }


def not_trained(rows: pd.DataFrame) -> list[str]:
    """Models in some rows of a figure or table that missed what they must reach, in order."""
    found: list[str] = []
    for column in (SHORTFALL, f"{SHORTFALL}_against"):
        if column in rows:
            found += list(map(str, rows.loc[rows[column] > 0, "model"]))
    return list(dict.fromkeys(found))
