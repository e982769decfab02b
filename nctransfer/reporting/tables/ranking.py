"""Models by transferability scores, how far each score can be trusted, and the layers that they pick."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.reporting.cells import MISSING, Cell, Mark, marked, shown
from nctransfer.reporting.points import Tables
from nctransfer.reporting.ranks import (
    ALL,
    MODELS,
    UNITS,
    main_accuracy,
    models_by_accuracy,
    panels_table,
    picks,
    ranks,
    statement,
    verdict,
)

AGREEMENT = [
    "points", "tau", "tau_low", "tau_high", "tau_null", "spearman", "spearman_low", "spearman_high",
    "pearson", "pearson_low", "pearson_high",
]  # fmt: skip
FIRST = [
    "panel", "title", "dataset", "comparison", "judged_by", "judged_by_label", "kind", "name", "label",
    "model",
]  # fmt: skip
COLUMNS = ["Score", "n", "τ_w [95 %]", "Spearman", "Pearson", "Verdict"]
MINUS = "\N{MINUS SIGN}"
DISAGREEMENT = "Such accuracies differ between papers (docs/ranking.md)"


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the table, a row a panel, comparison, score or accuracy, and model.

    Args:
        settings: the table's settings (panels).
        tables: tidy tables by (name, dataset, ""): ``rank`` and ``agreement`` of every panel.

    Returns:
        panel, title, dataset, comparison (models: their last features; units: those of each model),
        judged_by (the accuracy that scores are compared with), kind (score or accuracy), name, label, model.
        Of models: value, rank (1 is the best) or reason (why there is no value), and how the score agrees
        with the accuracy over all models (:class:`~nctransfer.transferability.agreement.Agreement`). Of
        units: unit and module that the score picks, lost (points of probe accuracy), how the score agrees
        with the probes over the units of this model, and mean_tau, the mean of that tau over the models,
        with its interval.
    """
    ranking, agreed = panels_table(settings, tables, "rank"), panels_table(settings, tables, "agreement")
    parts: list[pd.DataFrame] = []
    for panel, part in ranking.groupby("panel", sort=False):
        judged, first = agreed[agreed["panel"] == panel], part.iloc[0]
        shared = {name: first[name] for name in ("panel", "title", "dataset")}
        parts += [rows.assign(**shared) for rows in (_models(part, judged), _units(part, judged))]
    whole = pd.concat(parts, ignore_index=True)
    return whole[[*FIRST, *(name for name in whole if name not in FIRST)]]


def _models(part: pd.DataFrame, agreed: pd.DataFrame) -> pd.DataFrame:
    truth, label = main_accuracy(part)
    rows = part[(part["comparison"] == MODELS) & (part["kind"] != "term")]
    rows = rows[["comparison", "kind", "name", "label", "model", "value", "reason"]]
    rows = rows.assign(rank=rows.groupby("name", sort=False)["value"].transform(ranks))
    chosen = agreed[(agreed["comparison"] == MODELS) & (agreed["accuracy"] == truth)]
    found = rows.merge(chosen[["name", *AGREEMENT]], on="name", how="left")
    return _ordered(found, part).assign(judged_by=truth, judged_by_label=label)


def _units(part: pd.DataFrame, agreed: pd.DataFrame) -> pd.DataFrame:
    chosen = agreed[(agreed["comparison"] == UNITS) & (agreed["accuracy"] == "probe")]
    means = chosen.loc[chosen["model"] == ALL, ["name", "tau", "tau_low", "tau_high"]]
    means = means.rename(columns={name: f"mean_{name}" for name in ("tau", "tau_low", "tau_high")})
    found = picks(part).merge(chosen[["model", "name", *AGREEMENT]], on=["model", "name"], how="left")
    found = found.merge(means, on="name", how="left").assign(comparison=UNITS)
    return _ordered(found, part).assign(judged_by="probe", judged_by_label="probe accuracy (%)")


def _ordered(rows: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """Accuracies first, scores in the order of the configuration, models by accuracy."""
    names = {name: place for place, name in enumerate(dict.fromkeys(rows["name"]))}
    models = {name: place for place, name in enumerate(models_by_accuracy(part))}
    order = pd.DataFrame(
        {"kind": rows["kind"], "name": rows["name"].map(names), "model": rows["model"].map(models)}
    )
    return rows.loc[order.sort_values(["kind", "name", "model"]).index].reset_index(drop=True)


def present(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """What a reader sees: two blocks a panel, which model and which layer, a row a score, a column a model.

    Args:
        table: what :func:`tabulate` gave.
        settings: the table's settings; nothing of them is read.

    Returns:
        ``Score``, ``n`` (models with a score), weighted Kendall tau with its interval, Spearman's and
        Pearson's correlation, ``Verdict``, and a column a model, from the most to the least accurate: the
        score with its rank, or the unit that it picks with the points of accuracy that this costs. The best
        tau is marked.
        Headings say what is compared with what, and whether the models are enough to tell.
    """
    models = list(dict.fromkeys(table["model"]))
    rows: list[list[str | Cell]] = []
    for title, part in table.groupby("title", sort=False):
        apart = f"{title}: " if table["title"].nunique() > 1 else ""
        for comparison, write in ((MODELS, _write_models), (UNITS, _write_units)):
            rows += write(part[part["comparison"] == comparison], models, apart)
    return pd.DataFrame(rows, columns=[*COLUMNS, *models], dtype=object)


def _write_models(part: pd.DataFrame, models: Sequence[str], apart: str) -> list[list[str | Cell]]:
    label = part["judged_by_label"].iloc[0]
    truth = part[(part["kind"] == "accuracy") & (part["name"] == part["judged_by"])]
    count = int(truth["value"].count())
    rows: list[list[str | Cell]] = [
        _heading(f"{apart}Which model? Score of its last feature (rank)", models),
        _heading(f"Judged by {label}; {statement(count)}", models),
    ]
    if part["judged_by"].iloc[0] == "measured":
        rows.append(_heading(DISAGREEMENT, models))
    scores = [group for _, group in part.groupby(["kind", "name"], sort=False)]
    texts = _taus(scores, ("tau", "tau_low", "tau_high"))
    for group, tau in zip(scores, texts, strict=True):
        first, by_model = group.iloc[0], group.set_index("model")
        if first["kind"] == "accuracy":
            numbers: list[str | Cell] = [""] * 5
        else:
            numbers = [
                f"{first['points']:.0f}",
                tau,
                _number(first["spearman"], ".2f"),
                _number(first["pearson"], ".2f"),
                verdict(first),
            ]
        cells = [_scored(by_model, model) for model in models]
        rows.append([first["label"], *numbers, *cells])
    return rows


def _write_units(part: pd.DataFrame, models: Sequence[str], apart: str) -> list[list[str | Cell]]:
    if part.empty:
        return []
    rows: list[list[str | Cell]] = [
        _heading(f"{apart}Which layer? Unit that a score picks", models),
        _heading("Mean τ_w over models; (probe points lost)", models),
    ]
    scores = [group for _, group in part.groupby(["kind", "name"], sort=False)]
    texts = _taus(scores, ("mean_tau", "mean_tau_low", "mean_tau_high"))
    for group, tau in zip(scores, texts, strict=True):
        by_model = group.set_index("model")
        cells = [_picked(by_model, model) for model in models]
        is_score = group["kind"].iloc[0] == "score"
        counted = f"{group['tau'].count()}" if is_score else ""
        rows.append([group["label"].iloc[0], counted, tau if is_score else "", "", "", "", *cells])
    return rows


def _heading(text: str, models: Sequence[str]) -> list[str | Cell]:
    return [Cell(text, Mark.HEADING), *[""] * (len(COLUMNS) - 1 + len(models))]


def _taus(groups: Sequence[pd.DataFrame], names: tuple[str, str, str]) -> list[str | Cell]:
    """Tau with its interval of every group, the highest marked among those of as many points as any has."""
    numbers = [[float(group.iloc[0][name]) for name in names] for group in groups]
    texts = [
        MISSING
        if np.isnan(tau)
        else _number(tau, ".2f")
        + ("" if np.isnan(low) else f" [{_number(low, '.2f')}, {_number(high, '.2f')}]")
        for tau, low, high in numbers
    ]
    points = [float(group["points"].max()) for group in groups]
    whole = [count == np.nanmax(points) for count in points]
    scores = [shown(tau, ".2f") if full else np.nan for (tau, _, _), full in zip(numbers, whole, strict=True)]
    return marked(texts, scores)


def _scored(by_model: pd.DataFrame, model: str) -> str:
    if model not in by_model.index:
        return MISSING
    row: Any = by_model.loc[model]
    if row["kind"] == "accuracy":
        return _number(row["value"], ".2f")
    text = _number(row["value"], ".3g")
    return text if text == MISSING else f"{text} ({row['rank']:.0f})"


def _picked(by_model: pd.DataFrame, model: str) -> str:
    if model not in by_model.index:
        return MISSING
    row = by_model.loc[model]
    place = "last" if row["module"] == "penultimate" else f"{row['unit']:.0f}"
    return place if np.isnan(row["lost"]) or row["kind"] == "accuracy" else f"{place} ({row['lost']:.1f})"


def _number(value: float, digits: str) -> str:
    return MISSING if np.isnan(value) else f"{value:{digits}}".replace("-", MINUS)
