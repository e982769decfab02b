"""The table of transferability scores of one model: a row for each unit and term."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from nctransfer.errors import DegenerateInputError
from nctransfer.features.store import LOGITS, PENULTIMATE, Column, FeatureStore
from nctransfer.plan import variants
from nctransfer.tidy.collapse import label
from nctransfer.transferability.evaluate import evaluate, needs_head
from nctransfer.transferability.problem import Problem, stratified

SCORES = "nctransfer.transferability.scores"
SPLIT = "train"


def score_table(store: FeatureStore, settings: Mapping[str, Any], device: torch.device) -> pd.DataFrame:
    """Score every unit's features on the training split.

    Args:
        store: feature store of the training split.
        settings: names (model, view), scores (modules), samples (at most; None for all), pair_samples,
            mixture_samples, pooling (whose units are scored), seed.
        device: device to compute on.

    Returns:
        columns model, view, split, unit, module, pooling, available (samples of the split), classes, width,
        score, term, value, reason (why it has no value, else empty), samples (that it was computed on).
        The stem is left out; scores of the source classifier stand with the penultimate feature.

    Raises:
        DegenerateInputError: features on which no score has a meaning; the unit is named.
    """
    modules = {name: variants.load(SCORES, name) for name in settings["scores"]}
    labels = torch.from_numpy(store.labels)
    rows = torch.arange(len(labels))
    if settings["samples"] is not None and settings["samples"] < len(labels):
        rows = stratified(labels, settings["samples"], settings["seed"])
    logits, headed = None, any(column.name == LOGITS for column in store.columns)
    if headed and any(map(needs_head, modules.values())):
        logits = _rows(store, LOGITS, rows, device)
    found = []
    for column in _scored(store, settings["pooling"]):
        last = column.module == PENULTIMATE
        problem = Problem.of(
            _rows(store, column.name, rows, device),
            labels[rows].to(device),
            logits if last else None,
            classes=len(store.class_names),
            seed=settings["seed"],
            name=label(column, SPLIT),
        )
        chosen = {name: module for name, module in modules.items() if last or not needs_head(module)}
        shared = {
            **settings["names"],
            "split": SPLIT,
            "unit": column.unit,
            "module": column.module,
            "pooling": column.pooling,
            "available": len(labels),
            "classes": len(problem.counts),
            "width": column.width,
        }
        found += [shared | vars(term) for term in evaluate(problem, chosen, settings)]
    return pd.DataFrame(found).rename(columns={"name": "term"})


def _scored(store: FeatureStore, pooling: str) -> list[Column]:
    """Units 1 to L of one pooling, and the penultimate feature."""
    columns = [
        column
        for column in store.unit_columns
        if column.module == PENULTIMATE or (column.unit > 0 and column.pooling == pooling)
    ]
    if not columns:
        raise DegenerateInputError(f"the feature store has no unit of pooling {pooling!r} to score")
    return columns


def _rows(store: FeatureStore, name: str, rows: torch.Tensor, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(store[name][rows.numpy()]).to(device)
