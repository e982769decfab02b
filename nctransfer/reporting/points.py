"""The points of a figure or table: a pre-trained model each, its NC1 and its transfer accuracy."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.style import letter

Tables = Mapping[tuple[str, str, str], pd.DataFrame]

PENULTIMATE = "penultimate"


def points_table(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every point of every panel, a row each.

    Args:
        settings: panels (title, nc1_dataset or None where the points' labels name it, split, points of
            series, label, model, view and nc1_view), learning_rate, weight_decay.
        tables: tidy tables by (name, model, view): ``metrics`` on a point's nc1_view, ``probes`` on its
            view.

    Returns:
        panel, title, series, label, order (of a point in its series, from 0), model, view, nc1_view,
        nc1_dataset, split, nc1 and nc1_shuffled of the penultimate feature on that split, samples,
        classes, width, rank, train_accuracy and transfer_accuracy (%, mean over seeds), its standard
        deviation (0 with one seed), seeds.

    Raises:
        DegenerateInputError: a point has no NC1 or no accuracy; the point and what is missing are named.
    """
    rows = []
    for index, panel in enumerate(settings["panels"]):
        places: dict[str, int] = {}
        for point in panel["points"]:
            series, model = point["series"], point["model"]
            name = f"panel {panel['title']!r}, point {' '.join(filter(None, (series, point['label'])))!r}"
            places[series] = places.get(series, -1) + 1
            rows.append(
                {
                    "panel": letter(index),
                    "title": panel["title"],
                    "series": series,
                    "label": point["label"],
                    "order": places[series],
                    "model": model,
                    "view": point["view"],
                    "nc1_view": point["nc1_view"],
                    "nc1_dataset": panel["nc1_dataset"] or point["label"],
                    "split": panel["split"],
                    **_collapse(tables["metrics", model, point["nc1_view"]], panel["split"], name),
                    **_accuracy(tables["probes", model, point["view"]], settings, name),
                }
            )
    return pd.DataFrame(rows)


def _collapse(metrics: pd.DataFrame, split: str, name: str) -> dict[str, Any]:
    """NC1 of the penultimate feature and what it depends on."""
    chosen = metrics[(metrics["module"] == PENULTIMATE) & (metrics["split"] == split)]
    values = {metric: float(value) for metric, value in zip(chosen["metric"], chosen["value"], strict=True)}
    for metric in ("nc1", "nc1_shuffled"):
        if metric not in values:
            raise DegenerateInputError(
                f"{name}: the metrics have no {metric} of the penultimate feature, {split} split; "
                f"there are: {', '.join(values) or 'none'}"
            )
    sizes = chosen[chosen["metric"] == "nc1"].iloc[0]
    return {
        **{metric: values[metric] for metric in ("nc1", "nc1_shuffled")},
        **{key: int(sizes[key]) for key in ("samples", "classes", "width", "rank")},
    }


def _accuracy(probes: pd.DataFrame, settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Accuracies of the probes of the penultimate feature, mean over seeds."""
    rate, decay = settings["learning_rate"], settings["weight_decay"]
    chosen = probes[
        (probes["module"] == PENULTIMATE)
        & (probes["learning_rate"] == rate)
        & (probes["weight_decay"] == decay)
    ]
    train, test = (chosen.loc[chosen["split"] == split, "accuracy"] for split in ("train", "test"))
    if train.empty or test.empty:
        raise DegenerateInputError(
            f"{name}: no probe of the penultimate feature with learning rate {rate:g} and weight decay "
            f"{decay:g} on both splits; there are: {_settings_of(probes)}"
        )
    return {
        "train_accuracy": float(train.mean()),
        "transfer_accuracy": float(test.mean()),
        "transfer_accuracy_std": float(test.std()) if len(test) > 1 else 0.0,
        "seeds": len(test),
    }


def _settings_of(probes: pd.DataFrame) -> str:
    """Learning rates and weight decays of the probes of the penultimate feature, in words."""
    there = probes[probes["module"] == PENULTIMATE][["learning_rate", "weight_decay"]].drop_duplicates()
    return ", ".join(f"{rate:g} and {decay:g}" for rate, decay in there.to_numpy()) or "none"
