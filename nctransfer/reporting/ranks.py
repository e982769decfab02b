"""What figures and tables of rankings share: the order of models, ranks, and verdicts in words."""

from dataclasses import fields
from typing import Literal

import numpy as np
import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.panels import by_panel, led_by, letter
from nctransfer.reporting.settings import PictureSettings, RankingPanel
from nctransfer.reporting.tidy_rows import Tables
from nctransfer.transferability.agreement import Agreement

MODELS, UNITS, ALL = "models", "units", "all"
WHOLE = ("score", "accuracy")  # kinds of rows besides the parts of scores: terms, and scores without one
ENOUGH = 8  # models; with fewer, one random order in 40 has a weighted tau of at least 0.69
LEAST = 4  # models; with fewer, a rank correlation is meaningless

AGREEMENT = [field.name for field in fields(Agreement)]
MEANS = ["points", "tau", "tau_low", "tau_high"]
FIRST = [
    "panel", "title", "dataset", "comparison", "judged_by", "judged_by_label", "kind", "name", "label",
    "model",
]  # fmt: skip


def panels_table(
    settings: PictureSettings[RankingPanel], tables: Tables, name: Literal["rank", "agreement"]
) -> pd.DataFrame:
    """A table of the rankings of all panels together, with panel and title as first columns."""
    parts = [
        led_by(tables[name, panel.dataset, ""], panel=letter(index), title=panel.title)
        for index, panel in enumerate(settings.panels)
    ]
    return pd.concat(parts, ignore_index=True)


def main_accuracy(ranking: pd.DataFrame) -> tuple[str, str]:
    """Name and label of the accuracy measured for most models; DegenerateInputError if there is none.

    In case of a tie full fine-tuning first, then other runs, accuracies measured elsewhere, probes.
    """
    part = ranking[(ranking["kind"] == "accuracy") & (ranking["comparison"] == MODELS)]
    counts = part.groupby(["name", "label"], sort=False)["value"].count()
    if counts.empty:
        raise DegenerateInputError("no accuracy was measured of any model that is ranked")
    places = {"full_ft": 0, "measured": 2, "probe": 3}
    best = min(counts.index, key=lambda named: (-counts[named], places.get(named[0].split(",")[0], 1)))
    return str(best[0]), str(best[1])


def models_by_accuracy(ranking: pd.DataFrame) -> list[str]:
    """Models from the most to the least accurate; those without an accuracy last."""
    accuracy, _ = main_accuracy(ranking)
    part = ranking[ranking["comparison"] == MODELS]
    measured = part[(part["kind"] == "accuracy") & (part["name"] == accuracy)].dropna(subset="value")
    ordered = measured.sort_values("value", ascending=False, kind="stable")["model"].tolist()
    return list(dict.fromkeys([*ordered, *part["model"]]))


def ranks(values: pd.Series) -> pd.Series:
    """Ranks from 1, the highest value; equal values share the better rank, NaN has none."""
    return values.rank(ascending=False, method="min")


def statement(points: int) -> str:
    """Number of models, and whether it suffices to judge scores."""
    models = f"{points} model{'' if points == 1 else 's'}"
    return models if points >= ENOUGH else f"{models}: too few to tell (at least {ENOUGH})"


def verdict(row: pd.Series) -> str:
    """Whether a score ranks better than chance, by its interval and the distribution over random orders."""
    if np.isnan(row["tau"]):
        return "undefined"
    if row["points"] < ENOUGH:
        return "too few models"
    if row["tau_low"] > 0 and row["tau"] > row["tau_null_high"]:
        return "better than chance"
    if row["tau_high"] < 0 and row["tau"] < row["tau_null_low"]:
        return "worse than chance"
    return "may be chance"


def picks(ranking: pd.DataFrame) -> pd.DataFrame:
    """For every model and score the unit with the highest score, and the resulting loss of accuracy.

    ``ranking`` has the rows of one panel.

    Returns:
        kind, name, label, model, unit, module, lost (probe accuracy of the best unit minus that of the picked
        one, points; NaN without probes). Rows of accuracies have the unit of the best probe.
    """
    part = ranking[(ranking["comparison"] == UNITS) & ranking["kind"].isin(WHOLE)].dropna(subset="value")
    best = part.loc[part.groupby(["kind", "name", "model"], sort=False)["value"].idxmax()]
    probe = part[(part["kind"] == "accuracy") & (part["name"] == "probe")]
    accuracies = probe[["model", "unit", "value"]].rename(columns={"value": "probe"})
    best = best.merge(accuracies, on=["model", "unit"], how="left")
    best["lost"] = best["model"].map(probe.groupby("model")["value"].max()) - best["probe"]
    return best[["kind", "name", "label", "model", "unit", "module", "lost"]]


def ranking_numbers(settings: PictureSettings[RankingPanel], tables: Tables) -> pd.DataFrame:
    """Every number of a ranking, one row per panel, comparison, score, term or accuracy, and model.

    ``tables`` has ``rank`` and ``agreement`` of every panel's data set (its key as the model; no view).

    Returns:
        panel, title, dataset, comparison (models: by their last features; units: those of each model),
        judged_by (the accuracy with which scores are compared), kind (score, accuracy and, of models, term or
        without: a score less one of its terms), name, label, model.
        For models: value, rank (1 is best) or reason (why there is no value), and the agreement of the score
        with the accuracy over all models (:class:`~nctransfer.transferability.agreement.Agreement`). For
        units: unit and module that the score picks, lost (points of probe accuracy), the agreement of the
        score with the probes over the units of this model, and mean_tau, the mean of that tau over
        mean_points models, with its interval.
    """
    ranking, agreed = panels_table(settings, tables, "rank"), panels_table(settings, tables, "agreement")
    parts: list[pd.DataFrame] = []
    for part in by_panel(ranking):
        of_panel = {name: part[name].iloc[0] for name in ("panel", "title", "dataset")}
        judged = agreed[agreed["panel"] == of_panel["panel"]]
        parts += [rows.assign(**of_panel) for rows in (_models(part, judged), _units(part, judged))]
    whole = pd.concat(parts, ignore_index=True)
    return whole[[*FIRST, *(name for name in whole if name not in FIRST)]]


def _models(part: pd.DataFrame, agreed: pd.DataFrame) -> pd.DataFrame:
    truth, label = main_accuracy(part)
    rows = part[part["comparison"] == MODELS]
    rows = rows[["comparison", "kind", "name", "label", "model", "value", "reason"]]
    rows = rows.assign(rank=rows.groupby(["kind", "name"], sort=False)["value"].transform(ranks))
    chosen = agreed[(agreed["comparison"] == MODELS) & (agreed["accuracy"] == truth)]
    rows = rows.merge(chosen[["kind", "name", *AGREEMENT]], on=["kind", "name"], how="left")
    return _ordered(rows, part).assign(judged_by=truth, judged_by_label=label)


def _units(part: pd.DataFrame, agreed: pd.DataFrame) -> pd.DataFrame:
    chosen = agreed[(agreed["comparison"] == UNITS) & (agreed["accuracy"] == "probe")]
    means = chosen.loc[chosen["model"] == ALL, ["kind", "name", *MEANS]]
    means = means.rename(columns={name: f"mean_{name}" for name in MEANS})
    named = ["kind", "name"]
    rows = picks(part).merge(chosen[["model", *named, *AGREEMENT]], on=["model", *named], how="left")
    rows = rows.merge(means, on=named, how="left").assign(comparison=UNITS)
    return _ordered(rows, part).assign(judged_by="probe", judged_by_label="probe accuracy (%)")


def _ordered(rows: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """Accuracies first, scores in the order of the configuration, models by accuracy."""
    names = {name: place for place, name in enumerate(dict.fromkeys(rows["name"]))}
    models = {name: place for place, name in enumerate(models_by_accuracy(part))}
    order = rows[["kind"]].assign(name=rows["name"].map(names), model=rows["model"].map(models))
    return rows.loc[order.sort_values(["kind", "name", "model"]).index].reset_index(drop=True)
