"""Models by transferability scores, how far each score can be trusted, and the layers that they pick."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.reporting.panels import by_panel
from nctransfer.reporting.ranks import ENOUGH, LEAST, MODELS, UNITS, WHOLE, statement, verdict
from nctransfer.reporting.ranks import ranking_numbers as tabulate
from nctransfer.reporting.settings import RankingPanel, TableSettings
from nctransfer.reporting.style import minus
from nctransfer.reporting.table_cells import MISSING, Cell, as_written, emphasised, heading
from nctransfer.reporting.tidy_rows import PENULTIMATE

__all__ = ["SETTINGS", "present", "tabulate"]

SETTINGS = TableSettings[RankingPanel]

COLUMNS = ["Score", "n", "τ_w [95 %]", "Spearman", "Pearson", "Verdict"]
ELSEWHERE = "Accuracies measured elsewhere can order models otherwise (docs/ranking.md)"


def present(numbers: pd.DataFrame, settings: TableSettings[RankingPanel]) -> pd.DataFrame:
    """The readable form: blocks per panel (which model, which term, which layer), one row per score.

    The second has the terms of the scores that are sums, and these scores without each of their terms.

    Returns:
        ``Score``, ``n`` (models with a score), weighted Kendall tau with its interval, Spearman's and
        Pearson's correlation, ``Verdict``, and one column per model, from the most to the least accurate: the
        score with its rank, or the unit that it picks with the points of accuracy that this costs. With
        enough models the best tau is emphasised. Headings say what is compared, and whether the models are
        enough to tell.
    """
    models = list(dict.fromkeys(numbers["model"]))
    rows: list[list[str | Cell]] = []
    for part in by_panel(numbers):
        apart = f"{part['title'].iloc[0]}: " if numbers["panel"].nunique() > 1 else ""
        of_models, of_units = (part[part["comparison"] == name] for name in (MODELS, UNITS))
        whole = of_models["kind"].isin(WHOLE)
        rows += _write_models(of_models[whole], models, apart)
        if not whole.all():
            title = f"{apart}Which term? Terms of a score alone, and scores without one of them (rank)"
            rows.append(heading(title, len(COLUMNS) + len(models)))
            rows += _agreements(of_models[~whole], models)
        rows += _write_units(of_units, models, apart)
    return pd.DataFrame(rows, columns=[*COLUMNS, *models], dtype=object)


def _write_models(part: pd.DataFrame, models: Sequence[str], apart: str) -> list[list[str | Cell]]:
    label = part["judged_by_label"].iloc[0]
    truth = part[(part["kind"] == "accuracy") & (part["name"] == part["judged_by"])]
    count, width = int(truth["value"].count()), len(COLUMNS) + len(models)
    rows: list[list[str | Cell]] = [
        heading(f"{apart}Which model? Score of its last feature (rank)", width),
        heading(f"Judged by {label}; {statement(count)}", width),
    ]
    if part["judged_by"].iloc[0] == "measured":
        rows.append(heading(ELSEWHERE, width))
    return rows + _agreements(part, models)


def _agreements(part: pd.DataFrame, models: Sequence[str]) -> list[list[str | Cell]]:
    """A row per score, term or accuracy: how well it agrees with the accuracy, and its value by model."""
    rows: list[list[str | Cell]] = []
    scores = [group for _, group in part.groupby(["kind", "name"], sort=False)]
    texts = _taus(scores, ("tau", "tau_low", "tau_high"), "points")
    for group, tau in zip(scores, texts, strict=True):
        first, by_model = group.iloc[0], group.set_index("model")
        if first["kind"] == "accuracy":
            numbers: list[str | Cell] = [""] * 5
        else:
            numbers = [
                f"{first['points']:.0f}",
                tau,
                _number(first["spearman"] if first["points"] >= LEAST else np.nan, ".2f"),
                _number(first["pearson"] if first["points"] >= LEAST else np.nan, ".2f"),
                verdict(first),
            ]
        cells = [_scored(by_model, model) for model in models]
        rows.append([first["label"], *numbers, *cells])
    return rows


def _write_units(part: pd.DataFrame, models: Sequence[str], apart: str) -> list[list[str | Cell]]:
    if not (part["kind"] == "score").any():
        return []
    width = len(COLUMNS) + len(models)
    rows: list[list[str | Cell]] = [
        heading(f"{apart}Which layer? Unit that a score picks (probe points lost)", width),
        heading(f"Mean τ_w over {statement(int(part['mean_points'].max()))}", width),
    ]
    scores = [group for _, group in part.groupby(["kind", "name"], sort=False)]
    texts = _taus(scores, ("mean_tau", "mean_tau_low", "mean_tau_high"), "mean_points")
    for group, tau in zip(scores, texts, strict=True):
        by_model = group.set_index("model")
        cells = [_picked(by_model, model) for model in models]
        is_score = group["kind"].iloc[0] == "score"
        counted = f"{group['mean_points'].iloc[0]:.0f}" if is_score else ""
        rows.append([group["label"].iloc[0], counted, tau if is_score else "", "", "", "", *cells])
    return rows


def _taus(groups: Sequence[pd.DataFrame], names: tuple[str, str, str], count: str) -> list[str | Cell]:
    """Tau with its interval per group; with enough models that all have a score, the best is emphasised."""
    numbers = [[float(group.iloc[0][name]) for name in (count, *names)] for group in groups]
    texts, scores = [], []
    most = max((points for points, *_ in numbers if np.isfinite(points)), default=0)
    for points, tau, low, high in numbers:
        enough = np.isfinite(tau) and points >= LEAST
        span = "" if np.isnan(low) else f" [{_number(low, '.2f')}, {_number(high, '.2f')}]"
        texts.append(_number(tau, ".2f") + span if enough else MISSING)
        scores.append(as_written(tau, ".2f") if enough and points == most >= ENOUGH else np.nan)
    return emphasised(texts, scores)


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
    place = "last" if row["module"] == PENULTIMATE else f"{row['unit']:.0f}"
    return place if np.isnan(row["lost"]) or row["kind"] == "accuracy" else f"{place} ({row['lost']:.1f})"


def _number(value: float, digits: str) -> str:
    return MISSING if np.isnan(value) else minus(f"{value:{digits}}")
