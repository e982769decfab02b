"""What pictures of rankings share: the order of models, ranks, and what they are worth in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.points import Tables
from nctransfer.reporting.style import letter

MODELS, UNITS, ALL = "models", "units", "all"
ENOUGH = 8  # models; of fewer one random order in 40 reaches a weighted tau of 0.67 and more


def panels_table(settings: Mapping[str, Any], tables: Tables, name: str) -> pd.DataFrame:
    """The table of a ranking (``rank`` or ``agreement``) of every panel, one below the other.

    Args:
        settings: panels (title, dataset).
        tables: tidy tables by (name, dataset, "").
        name: ``rank`` or ``agreement``.
    """
    parts = []
    for index, panel in enumerate(settings["panels"]):
        part = tables[name, panel["dataset"], ""].copy()
        part.insert(0, "panel", letter(index))
        part.insert(1, "title", panel["title"])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def main_accuracy(ranking: pd.DataFrame) -> tuple[str, str]:
    """Name and label of the accuracy that a ranking is judged by: the probes' where there is no other.

    Raises:
        DegenerateInputError: no accuracy was measured.
    """
    names = ranking.loc[(ranking["kind"] == "accuracy") & (ranking["comparison"] == MODELS)]
    names = names[["name", "label"]].drop_duplicates()
    if names.empty:
        raise DegenerateInputError("no accuracy was measured of any model that is ranked")
    chosen = names[names["name"] != "probe"] if (names["name"] != "probe").any() else names
    return str(chosen["name"].iloc[0]), str(chosen["label"].iloc[0])


def models_by_accuracy(ranking: pd.DataFrame) -> list[str]:
    """Models from the most to the least accurate; those without an accuracy come last."""
    accuracy, _ = main_accuracy(ranking)
    part = ranking[ranking["comparison"] == MODELS]
    known = part[(part["kind"] == "accuracy") & (part["name"] == accuracy)].dropna(subset="value")
    ordered = known.sort_values("value", ascending=False, kind="stable")["model"].tolist()
    return list(dict.fromkeys([*ordered, *part["model"]]))


def ranks(values: pd.Series) -> pd.Series:
    """Ranks from 1, the highest value; equal values share the better one, NaN has none."""
    return values.rank(ascending=False, method="min")


def statement(points: int) -> str:
    """What a number of models allows to say of scores."""
    if points < ENOUGH:
        return f"{points} models: too few to tell (at least {ENOUGH})"
    return f"{points} models"


def verdict(row: pd.Series) -> str:
    """Whether a score ranks better than chance, by its interval and by random orders."""
    if np.isnan(row["tau"]):
        return "undefined"
    if row["points"] < ENOUGH:
        return "too few models"
    if row["tau_low"] > 0 and row["tau"] > row["tau_null"]:
        return "better than chance"
    if row["tau_high"] < 0:
        return "worse than chance"
    return "may be chance"


def picks(ranking: pd.DataFrame) -> pd.DataFrame:
    """For every model and score the unit of the highest score, and what that costs.

    Args:
        ranking: rows of one panel.

    Returns:
        columns kind, name, label, model, unit, module, lost (probe accuracy of the best unit less that of the
        picked one, points; NaN without probes). Of accuracies the probes' best unit stands there.
    """
    part = ranking[(ranking["comparison"] == UNITS) & (ranking["kind"] != "term")].dropna(subset="value")
    best = part.loc[part.groupby(["kind", "name", "model"], sort=False)["value"].idxmax()]
    probe = part[(part["kind"] == "accuracy") & (part["name"] == "probe")]
    there = probe[["model", "unit", "value"]].rename(columns={"value": "probe"})
    best = best.merge(there, on=["model", "unit"], how="left")
    best["lost"] = best["model"].map(probe.groupby("model")["value"].max()) - best["probe"]
    return best[["kind", "name", "label", "model", "unit", "module", "lost"]]
