"""The table of transferability scores of one model: one row per unit and term."""

from dataclasses import asdict

import pandas as pd
import torch

from nctransfer import variants
from nctransfer.collapse.inputs import as_tensor
from nctransfer.errors import DegenerateInputError
from nctransfer.features.feature_store import LOGITS, PENULTIMATE, Column, FeatureStore
from nctransfer.tidy.collapse import label
from nctransfer.transferability import scores
from nctransfer.transferability.evaluate import evaluate, needs_head
from nctransfer.transferability.problem import Problem, stratified
from nctransfer.transferability.settings import ScoresJobSettings

SPLIT = "train"


def score_table(store: FeatureStore, settings: ScoresJobSettings, device: torch.device) -> pd.DataFrame:
    """Score the features of every unit on the training split.

    Returns:
        columns model, view, split, unit, module, pooling, available (samples of the split), classes, width,
            score, term, value, reason (why it has no value, else empty), samples (used for it). The stem is
            left out; scores of the source classifier are listed for the penultimate feature.

    Raises:
        DegenerateInputError: features for which no score is defined; the unit is named.
    """
    modules = {name: variants.load(scores, name, needs=["TITLES", "terms"]) for name in settings.scores}
    labels = torch.from_numpy(store.labels)
    rows = torch.arange(len(labels))
    if settings.samples is not None and settings.samples < len(labels):
        rows = stratified(labels, settings.samples, settings.seed)
    logits, has_logits = None, any(column.name == LOGITS for column in store.columns)
    if has_logits and any(map(needs_head, modules.values())):
        logits = _rows(store, LOGITS, rows, device)
    terms = []
    for column in _scored(store, settings.pooling):
        last = column.module == PENULTIMATE
        problem = Problem.of(
            _rows(store, column.name, rows, device),
            labels[rows].to(device),
            logits if last else None,
            classes=len(store.class_names),
            seed=settings.seed,
            name=label(column, SPLIT),
        )
        applicable = {name: module for name, module in modules.items() if last or not needs_head(module)}
        shared = {
            **settings.names.told(),
            "split": SPLIT,
            **column.place,
            "available": len(labels),
            "classes": len(problem.counts),
            "width": column.width,
        }
        terms += [shared | asdict(term) for term in evaluate(problem, applicable, settings)]
    return pd.DataFrame(terms).rename(columns={"name": "term"})


def _scored(store: FeatureStore, pooling: str) -> list[Column]:
    """Units 1 to L of one pooling, and the penultimate feature."""
    units = [column for column in store.unit_columns if column.unit > 0]
    columns = [column for column in units if column.module == PENULTIMATE or column.pooling == pooling]
    if not columns:
        raise DegenerateInputError(f"the feature store has no unit of pooling {pooling!r} to score")
    return columns


def _rows(store: FeatureStore, name: str, rows: torch.Tensor, device: torch.device) -> torch.Tensor:
    features = as_tensor(store[name])
    return (features if len(rows) == len(features) else features[rows]).to(device)
