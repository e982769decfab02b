"""The tables of a ranking: scores and measured accuracies of all models on a data set, and their agreement.

The same scores answer two questions. *Which model?* compares the last features of all models (``comparison``
is ``models``); *which layer?* compares the units of each model, including the last feature (``units``).
Scores whose terms are put on a common scale are pooled separately for each question.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from nctransfer import variants
from nctransfer.errors import DegenerateInputError
from nctransfer.features.feature_store import PENULTIMATE
from nctransfer.intervals import mean_interval
from nctransfer.storage.tables import LACKING
from nctransfer.training.history import clean_accuracies
from nctransfer.transferability import scores as score_modules
from nctransfer.transferability.agreement import Agreement, agreement
from nctransfer.transferability.evaluate import needs_head
from nctransfer.transferability.settings import RankedModel, RankingJobSettings

MODELS, UNITS = "models", "units"
ALL = "all"  # replaces the name of a model for a mean over all of them
SOURCE = "source_accuracy"
PLACE = ["model", "view", "unit", "module", "pooling", "width"]
SCORE, TERM, WITHOUT, ACCURACY = "score", "term", "without", "accuracy"
# Columns that, besides the seed, distinguish runs of one method and its units, and their words in names.
VARIED = {"per_class": "images a class", "learning_rate": "rate", "weight_decay": "decay"}
INTERVALS = ("tau_low", "tau_high", "spearman_low", "spearman_high", "pearson_low", "pearson_high")


def gather(tables: Mapping[tuple[str, ...], pd.DataFrame], settings: RankingJobSettings) -> pd.DataFrame:
    """The ranking from the tables of all models by (name, model, view), see :func:`ranking_table`.

    These are ``scores`` and ``probes`` of every model, ``history`` of those trained here, and ``finetuning``
    of the runs to compare.
    """
    models, measured = settings.models, settings.measured
    rates = settings.learning_rate, settings.weight_decay
    probes = [probe_accuracies(tables["probes", one.model, one.view], *rates) for one in models]
    accuracies = [pd.concat(probes, ignore_index=True)]
    if tuned := [table for (name, _, _), table in tables.items() if name == "finetuning"]:
        accuracies += [part for _, part in run_accuracies(tuned).groupby("name", sort=False)]
    if measured is not None:
        values = pd.DataFrame(measured.accuracies.items(), columns=["model", "value"])
        label = f"accuracy, {measured.name} (%)"
        accuracies.append(values.assign(unit=np.nan, name="measured", label=label, reason=""))
    sources = pd.DataFrame(
        {"model": ranked.model, "value": _source_accuracy(ranked, tables), "data": ranked.data}
        for ranked in models
    )
    scores = [tables["scores", ranked.model, ranked.view] for ranked in models]
    return ranking_table(scores, accuracies, sources, settings)


def _source_accuracy(ranked: RankedModel, tables: Mapping[tuple[str, ...], pd.DataFrame]) -> float:
    """Accuracy (%) on the source data, from the settings or the history of the training; NaN if unknown."""
    if ranked.history is None:
        return np.nan if ranked.accuracy is None else ranked.accuracy
    return clean_accuracies(tables["history", ranked.history, ""], ranked.epoch).get("test", np.nan)


def ranking_table(
    scores: Sequence[pd.DataFrame],
    accuracies: Sequence[pd.DataFrame],
    sources: pd.DataFrame,
    settings: RankingJobSettings,
) -> pd.DataFrame:
    """Scores (:func:`~nctransfer.tidy.scores.score_table` of each model) and accuracies, one per row.

    Measured accuracies have columns model, unit (NaN: of the whole model), name, label, value; ``sources``
    has model, value (accuracy on its source data in percent, or NaN) and data (which, or None).

    Returns:
        columns dataset, comparison, those of ``PLACE``, kind (score, term, without: a score less one of its
            terms, or accuracy), name, label (in figures and tables), value, reason (why there is no value,
            else empty), samples and classes used (0 for accuracies and the source accuracy).
    """
    table = pd.concat(scores, ignore_index=True)
    last = table["module"] == PENULTIMATE
    parts = [_pooled(table[last], settings.scores, MODELS)]
    parts += [_pooled(part, settings.scores, UNITS) for _, part in table.groupby("model", sort=False)]
    places = table[PLACE].drop_duplicates()
    models = places[places["module"] == PENULTIMATE]
    parts.append(_baseline(models, sources))
    for measured in accuracies:
        parts += [_placed(measured, models, MODELS), _placed(measured, places, UNITS)]
    whole = pd.concat([part for part in parts if len(part)], ignore_index=True)
    whole[["samples", "classes"]] = whole[["samples", "classes"]].fillna(0).astype(int)
    whole["reason"] = whole["reason"].fillna("")
    whole.insert(0, "dataset", settings.dataset)
    measured_by = ["kind", "name", "label", "value", "reason", "samples", "classes"]
    return whole[["dataset", "comparison", *PLACE, *measured_by]]


def agreement_table(ranking: pd.DataFrame, settings: RankingJobSettings) -> pd.DataFrame:
    """Agreement of every score, term and score without a term with every accuracy of a :func:`ranking_table`.

    Returns:
        columns dataset, comparison, model (of the units that are compared; ``all`` for a comparison of
            models, and for the mean over models of the agreement over units), accuracy and accuracy_label,
            kind, name and label of the score or term, and the fields of
            :class:`~nctransfer.transferability.agreement.Agreement`. Intervals resample models. Units of one
            network are not independent: by model they have no interval, and the mean over models has only
            that of the mean tau.
    """
    rows: list[dict[str, Any]] = []
    for comparison, part in ranking.groupby("comparison", sort=False):
        measured = part[part["kind"] == ACCURACY]
        scored = part[part["kind"] != ACCURACY]
        for (truth, truth_label), accuracy in measured.groupby(["name", "label"], sort=False):
            for (kind, name, label), score in scored.groupby(["kind", "name", "label"], sort=False):
                other = accuracy[["model", "unit", "value"]]
                paired = score.merge(other, on=["model", "unit"], suffixes=("", "_measured"))
                paired = paired.dropna(subset=["value", "value_measured"])
                shared: dict[str, Any] = {"dataset": settings.dataset, "comparison": comparison}
                shared |= {"accuracy": truth, "accuracy_label": truth_label}
                shared |= {"kind": kind, "name": name, "label": label}
                if comparison == MODELS:
                    agreed = agreement(*_columns(paired))
                    rows.append(shared | {"model": ALL} | asdict(agreed))
                else:
                    rows += [shared | row for row in _by_model(paired)]
    columns = ["dataset", "comparison", "model", "accuracy", "accuracy_label", "kind", "name", "label"]
    return pd.DataFrame(rows, columns=[*columns, *Agreement.__dataclass_fields__])


def probe_accuracies(table: pd.DataFrame, learning_rate: float, weight_decay: float) -> pd.DataFrame:
    """Test accuracies of a model's probes for one setting, mean over seeds, as measured accuracies."""
    chosen = table[table["split"] == "test"]
    chosen = chosen[(chosen["learning_rate"] == learning_rate) & (chosen["weight_decay"] == weight_decay)]
    chosen = chosen[chosen["module"] != "summed"]  # the last feature plus a skip connection
    columns = {"value": ("accuracy", "mean"), "reason": ("unconverged", "any")}
    lacking = [column for column in LACKING if column in chosen]  # earlier versions did not count them
    columns |= {column: (column, "max") for column in lacking}
    means = chosen.groupby(["model", "unit", "pooling"], sort=False).agg(**columns).reset_index()
    reasons = np.where(means["reason"], "the probe has not converged", "").astype(object)
    for column in lacking:
        counts = means.pop(column)
        reasons = np.where(counts > 0, reasons + "; " + counts.astype(str) + " " + LACKING[column], reasons)
    means["reason"] = [reason.removeprefix("; ") for reason in reasons]
    return means.assign(name="probe", label="probe accuracy (%)")


def run_accuracies(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Test accuracies of fine-tuning runs, mean over the seeds of a model and a variant of tuning.

    A variant is a method with its units; samples per class and learning rates are part of it where a model is
    tuned with several of them.
    """
    table = pd.concat(tables, ignore_index=True)
    table = table[table["split"] == "test"].reset_index(drop=True)
    table["name"] = (table["method"] + " " + table["units"]).str.strip()
    for column, word in VARIED.items():
        counts = table.groupby(["model", "name"])[column].nunique(dropna=False)
        several = table["name"].isin(counts[counts > 1].index.get_level_values("name"))
        values = table[column].map(lambda value: "all" if pd.isna(value) else f"{value:g}")
        table["name"] = table["name"].where(~several, table["name"] + f", {word} " + values)
    means = table.groupby(["model", "name"], sort=False)[["accuracy"]].mean().reset_index()
    means = means.rename(columns={"accuracy": "value"})
    return means.assign(label=means["name"] + " accuracy (%)", unit=np.nan, reason="")


def _baseline(models: pd.DataFrame, sources: pd.DataFrame) -> pd.DataFrame:
    """Accuracy on the source data as a score; comparable only where the data are those of most models."""
    usual = sources.loc[sources["value"].notna(), "data"].mode()
    comparable = sources["data"].isna() | sources["data"].isin(usual[:1])
    unknown = sources["value"].isna()
    other = "on " + sources["data"].astype(str) + ", unlike most models here"
    reasons = np.where(unknown, "not known; set source_accuracy of the model", other)
    reason = np.where(comparable & ~unknown, "", reasons)
    scored = sources.assign(value=sources["value"].where(comparable), reason=reason)
    named = {"comparison": MODELS, "kind": SCORE, "name": SOURCE, "label": "source accuracy"}
    return models.merge(scored.drop(columns="data"), on="model").assign(**named)


def _pooled(table: pd.DataFrame, names: Sequence[str], comparison: str) -> pd.DataFrame:
    """Scores of a pool of features, their terms, and the scores without each term."""
    parts: list[pd.DataFrame] = []
    for name in names:
        module, part = variants.load(score_modules, name), table[table["score"] == name]
        if comparison == UNITS and needs_head(module):
            continue  # a score of the whole model
        terms = part.rename(columns={"term": "name"}).assign(kind=TERM)
        if not hasattr(module, "summands"):
            parts.append(terms.assign(kind=SCORE, label=terms["name"].map(module.TITLES)))
            continue
        valued, first = terms[terms["reason"] == ""], next(iter(module.TITLES.values()))
        labels = {term: f"{first}: {label} alone" for term, label in module.TERMS.items()}
        parts += [valued.assign(label=valued["name"].map(labels)), _combined(module, valued, terms)]
    if not parts:  # scores of the source classifier do not apply to units
        return pd.DataFrame()
    return pd.concat(parts, ignore_index=True).assign(comparison=comparison).drop(columns="score")


def _combined(module: ModuleType, valued: pd.DataFrame, terms: pd.DataFrame) -> pd.DataFrame:
    """Scores of a pool, with all terms and without each; where they are undefined, the reason."""
    rows = terms.drop_duplicates(PLACE).set_index(PLACE)
    wide = valued.pivot(index=PLACE, columns="name", values="value")
    try:
        summands = module.summands({name: wide[name].to_numpy() for name in wide}) if len(wide) else {}
        reason = ""
    except DegenerateInputError as error:
        summands, reason = {}, str(error)
    why = rows["reason"].where(rows["reason"] != "", reason)
    parts = []
    for name, label in module.TITLES.items():
        added = summands.get(name, {})
        scores = [(SCORE, name, label, added.values())]
        for left_out, term in module.TERMS.items():
            others = [values for key, values in added.items() if key != left_out]
            scores.append((WITHOUT, f"{name} without {left_out}", f"{label} without {term}", others))
        for kind, key, title, values in scores:
            value = pd.Series(sum(values) if added else np.nan, index=wide.index, dtype=float)
            found = {"kind": kind, "name": key, "label": title, "value": value.reindex(rows.index)}
            parts.append(rows.assign(**found, reason=why).reset_index())
    return pd.concat(parts, ignore_index=True)


def _placed(measured: pd.DataFrame, places: pd.DataFrame, comparison: str) -> pd.DataFrame:
    """Measured accuracies with the columns of ``PLACE``; those of whole models do not apply to units."""
    whole = measured["unit"].isna().all()
    if whole and comparison == UNITS:
        return pd.DataFrame()
    on = ["model"] if whole else ["model", "unit", *(["pooling"] if "pooling" in measured else [])]
    placed = places.merge(measured[[*on, "name", "label", "value", "reason"]], on=on)
    return placed.assign(comparison=comparison, kind=ACCURACY)


def _by_model(paired: pd.DataFrame) -> list[dict[str, Any]]:
    """Agreement over the units of each model, and its mean over the models with Student's interval.

    Of a single model there is no interval: its units are not independent.
    """
    rows, taus = [], []
    for model, part in paired.groupby("model", sort=False):
        agreed = agreement(*_columns(part))
        rows.append(asdict(agreed) | dict.fromkeys(INTERVALS, np.nan) | {"model": model})
        taus.append(agreed.tau)
    finite = np.array(taus, dtype=float)
    finite = finite[np.isfinite(finite)]
    low, high = mean_interval(finite)
    tau = float(finite.mean()) if len(finite) else float("nan")
    return [{"model": ALL, "points": len(finite), "tau": tau, "tau_low": low, "tau_high": high}, *rows]


def _columns(paired: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return paired["value"].to_numpy(float), paired["value_measured"].to_numpy(float)
