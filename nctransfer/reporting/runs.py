"""Fine-tuning runs as figures and tables read them: a row a panel and run, and means over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.reporting.fits import correlation
from nctransfer.reporting.points import PENULTIMATE, Tables
from nctransfer.reporting.style import letter

# methods in words, in the order of their colours; a method that is not here goes by its own name
METHODS = {
    "lp": "LP",
    "mlp": "MLP",
    "layer_ft": "Layer FT",
    "scl_ft": "SCL FT",
    "layer_lp": "Layer LP",
    "full_ft": "Full FT",
    "layer_lora": "Layer LoRA",
    "zero_shot": "Zero-shot",
}
UNTRAINED = "zero_shot"  # has no features of its own to measure
ALL_UNITS = "full_ft"

PANEL = ("panel", "title", "model", "dataset", "view", "pooling", "depth")
# what sets runs of one method apart, but for their seeds, and how a name says it
COORDINATES = {
    "units": "unit {}",
    "per_class": "{} samples a class",
    "learning_rate": "learning rate {:g}",
    "weight_decay": "weight decay {:g}",
    "rank": "rank {}",
    "statistics": "statistics {}",
    "epochs": "{} epochs",
}
ALWAYS_NAMED = {"layer_lora": ("rank",)}
CORRELATION = ("pearson", "pearson_low", "pearson_high", "spearman")
COLLAPSE = ("nc1", "nc1_shuffled", "cdnv")
SIZES = ("samples", "classes", "width")
WHOLE = ("per_class", "rank", "epochs", "trained", "parameters", *SIZES, "feature_rank")


def runs_table(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every run of every panel, a row each.

    Args:
        settings: panels (title, model, dataset, view, pooling, depth, runs of run, model, method,
            units, per_class, learning_rate, weight_decay, rank, seed).
        tables: tidy tables by (name, model, view): ``finetuning`` of every run (its key for a model,
            no view), and ``metrics`` of its features on the panel's view where a kind reads them.

    Returns:
        panel, title, model, dataset, view, pooling, depth, run, measured (whose features), method, name
        (the method in words), units (text), per_class, learning_rate, weight_decay, rank, statistics,
        seed, epochs, trained and parameters (numbers), share (%), train_accuracy and
        transfer_accuracy (%), train_loss, transfer_loss; of the penultimate feature on the training data
        nc1, nc1_shuffled, cdnv, samples, classes, width, feature_rank, and nc1_summed, NC1 of what the
        classifier of SCL FT sees. What a run does not have is missing (NaN or NA).

    Raises:
        DegenerateInputError: a run has no accuracy, or its metrics have no NC1; panel, run and what is
            missing are named.
    """
    rows = []
    for index, panel in enumerate(settings["panels"]):
        of_panel = {"panel": letter(index), **{key: panel[key] for key in PANEL[1:]}}
        for run in panel["runs"]:
            measured = tables.get(("metrics", run["model"], panel["view"]))
            rows.append(
                of_panel
                | _coordinates(run)
                | _trained(tables["finetuning", run["run"], ""], run_name(panel["title"], run["run"]))
                | _collapse(measured, run_name(panel["title"], run["run"]))
            )
    table = pd.DataFrame(rows)
    numbers: Any = {"learning_rate": float, "weight_decay": float, **dict.fromkeys(WHOLE, "Int64")}
    return table.astype(numbers)


def run_name(title: str, run: str) -> str:
    """What a run is called in messages."""
    return f"panel {title!r}, run {run!r}"


def _coordinates(run: Mapping[str, Any]) -> dict[str, Any]:
    """What the run was asked to do."""
    return {
        "run": run["run"],
        "measured": run["model"],
        "method": run["method"],
        "name": METHODS.get(run["method"], run["method"]),
        "units": " ".join(map(str, run["units"])),
        **{key: run[key] for key in ("per_class", "learning_rate", "weight_decay", "rank", "seed")},
    }


def _trained(finetuning: pd.DataFrame, name: str) -> dict[str, Any]:
    """What came of it."""
    found: dict[str, Any] = {}
    for split, prefix in (("train", "train"), ("test", "transfer")):
        rows = finetuning[finetuning["split"] == split]
        if rows.empty or (split == "test" and rows["accuracy"].isna().any()):
            raise DegenerateInputError(f"{name}: no accuracy on the {split} split")
        row = rows.iloc[0]
        found |= {key: row[key] for key in ("statistics", "epochs", "trained", "parameters", "share")}
        found |= {f"{prefix}_accuracy": float(row["accuracy"]), f"{prefix}_loss": float(row["loss"])}
    return found


def _collapse(metrics: pd.DataFrame | None, name: str) -> dict[str, Any]:
    """NC1 of the penultimate feature and what it depends on; nothing without metrics."""
    missing = dict.fromkeys((*COLLAPSE, "nc1_summed"), float("nan")) | dict.fromkeys((*SIZES, "feature_rank"))
    if metrics is None:
        return missing
    train = metrics[metrics["split"] == "train"]
    chosen = train[train["module"] == PENULTIMATE].set_index("metric")
    if "nc1" not in chosen.index:
        raise DegenerateInputError(
            f"{name}: the metrics have no nc1 of the penultimate feature, train split; "
            f"there are: {', '.join(map(str, chosen.index)) or 'none'}"
        )
    sizes = chosen.loc["nc1"].to_dict()
    values = dict(zip(chosen.index, chosen["value"], strict=True))
    summed = train[(train["module"] == "summed") & (train["metric"] == "nc1")]["value"]
    return (
        missing
        | {metric: float(values[metric]) for metric in COLLAPSE if metric in values}
        | {"nc1_summed": float(summed.iloc[0]) if len(summed) else float("nan")}
        | {key: int(sizes[key]) for key in SIZES}
        | {"feature_rank": int(sizes["rank"])}
    )


def one_unit(run: Mapping[Any, Any]) -> int:
    """The one unit that a run (a row of :func:`runs_table`) tunes.

    Raises:
        DegenerateInputError: it tunes none or several.
    """
    units = run["units"].split()
    if len(units) != 1:
        tuned = f"units {run['units']}" if units else "no unit"
        raise DegenerateInputError(f"{run_name(run['title'], run['run'])}: tunes {tuned}; it must tune one")
    return int(units[0])


def require_nc1(table: pd.DataFrame) -> None:
    """Refuse runs without NC1.

    Raises:
        DegenerateInputError: a run has none; panel, run and the features to measure are named.
    """
    for row in table[table["nc1"].isna()].to_dict("records"):
        raise DegenerateInputError(
            f"{run_name(row['title'], row['run'])}: no metrics of {row['measured']!r} on {row['view']!r}"
        )


def require_titles(table: pd.DataFrame) -> None:
    """Refuse panels that share a title, where titles name rows or columns.

    Raises:
        DegenerateInputError: two panels have one title.
    """
    titles = table.drop_duplicates("panel")["title"]
    for title in titles[titles.duplicated()]:
        raise DegenerateInputError(f"two panels are called {title!r}; give them titles that differ")


def name_series(table: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Say in ``name`` what sets runs of one method apart, where a panel has several kinds of them.

    Two Layer FTs become ``Layer FT (unit 5)`` and ``Layer FT (unit 8)``; where every panel has one,
    whichever unit it tunes, it stays ``Layer FT``. LoRA always shows its rank.

    Args:
        table: runs (:func:`runs_table`).
        by: columns that the figure shows as a place, which names need not say.
    """
    apart = {
        method: [key for key in COORDINATES if key not in by and (_differ(part, key, by) or key in always)]
        for method, part in table.groupby("method")
        for always in [ALWAYS_NAMED.get(str(method), ())]
    }
    names = [_full_name(row, apart[row["method"]]) for row in table.to_dict("records")]
    return table.assign(name=names)


def _differ(part: pd.DataFrame, key: str, by: Sequence[str]) -> bool:
    """Whether runs of a method that fall on one place of one panel differ in a coordinate."""
    return bool(part.groupby(["panel", *by], dropna=False)[key].nunique(dropna=False).max() > 1)


def _full_name(row: Mapping[Any, Any], keys: Sequence[str]) -> str:
    said = [COORDINATES[key].format(row[key]) for key in keys if not pd.isna(row[key]) and row[key] != ""]
    said = [text.replace("unit ", "units ") if " " in row["units"] else text for text in said]
    return f"{row['name']} ({', '.join(said)})" if said else str(row["name"])


def over_seeds(
    table: pd.DataFrame, values: Sequence[str], by: Sequence[str] = (), sizes: Sequence[str] = ()
) -> pd.DataFrame:
    """Means over seeds, a row a panel, name and place.

    Args:
        table: runs (:func:`runs_table`), named (:func:`name_series`).
        values: columns to average.
        by: columns that make a place within a series.
        sizes: further columns to keep, that seeds do not change.

    Returns:
        the columns of the panel, method, name, those of ``by``, the coordinates, trained, parameters
        and share, those of ``sizes``, seeds (how many), and every value with its standard deviation
        ``<value>_std`` (0 with one seed), in the order of the runs.

    Raises:
        DegenerateInputError: runs of one place are not seeds of one another: two have one seed, or they
            differ in what they were asked to do.
    """
    keys = [*PANEL, "method", "name", *by]
    groups = table.groupby(keys, sort=False, dropna=False)
    for _, part in groups:
        _require_seeds(part)
    kept = [key for key in (*COORDINATES, "trained", "parameters", "share", *sizes) if key not in by]
    means = groups[kept].first()
    means["seeds"] = groups.size()
    for value in values:
        means[value] = groups[value].mean()
        means[f"{value}_std"] = groups[value].std().where(means["seeds"] > 1, 0.0).where(means[value].notna())
    return means.reset_index()


def with_correlation(table: pd.DataFrame) -> pd.DataFrame:
    """Correlation of nc1 with transfer_accuracy over a panel's rows that have both, repeated on all of them.

    Args:
        table: means over seeds (:func:`over_seeds`).

    Returns:
        its columns, and pearson, its interval (95 %) pearson_low and pearson_high, and spearman
        (:func:`~nctransfer.reporting.fits.correlation`).
    """
    parts = []
    for _, part in table.groupby("panel", sort=False):
        there = part.dropna(subset=["nc1", "transfer_accuracy"])
        related = correlation(there["nc1"].to_numpy(), there["transfer_accuracy"].to_numpy())
        parts.append(part.assign(**{field: getattr(related, field) for field in CORRELATION}))
    return pd.concat(parts, ignore_index=True)


def _require_seeds(part: pd.DataFrame) -> None:
    """Whether runs are seeds of one another."""
    names = f"panel {part['title'].iloc[0]!r}, runs {', '.join(map(repr, part['run']))}"
    if part["seed"].duplicated().any():
        raise DegenerateInputError(f"{names}: one method, one place and one seed; they cannot be told apart")
    for key in COORDINATES:
        if part[key].nunique(dropna=False) > 1:
            found = ", ".join(map(str, part[key].unique()))
            raise DegenerateInputError(f"{names}: no seeds of one another, their {key} differ: {found}")
