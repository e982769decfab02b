"""Fine-tuning runs for figures and tables: one row per panel and run, and means over seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from nctransfer.errors import DegenerateInputError
from nctransfer.intervals import with_intervals
from nctransfer.reporting.fits import correlation
from nctransfer.reporting.panels import by_panel, letter
from nctransfer.reporting.settings import PictureSettings, ShownRun
from nctransfer.reporting.tidy_rows import SAMPLES, SIZES, TRANSFER, Tables, penultimate_metrics
from nctransfer.reporting.tuning_methods import facts_of

PANEL = ("panel", "title", "model", "dataset", "view", "pooling", "depth")
# what distinguishes runs of one method besides their seeds, and its wording in names
COORDINATES = {
    "units": "unit {}",
    "per_class": "{} samples a class",
    "learning_rate": "learning rate {:g}",
    "weight_decay": "weight decay {:g}",
    "rank": "rank {}",
    "statistics": "statistics {}",
    "epochs": "{} epochs",
}
ACCURACIES = ("train_accuracy", "transfer_accuracy")
COLLAPSE = ("nc1", "nc1_shuffled", "cdnv")
FEATURE_SIZES = SIZES[:3]  # the rank is named feature_rank, unlike that of adapters
WHOLE = (SAMPLES, "per_class", "rank", "epochs", "trained", "parameters", *FEATURE_SIZES, "feature_rank")


def runs_table(settings: PictureSettings[Any], tables: Tables) -> pd.DataFrame:
    """Every run of every panel (:class:`~nctransfer.reporting.settings.RunsPanel`).

    ``tables`` has ``finetuning`` of every run (its key as the model, no view), and ``metrics`` of its
    features on the panel's view if the kind reads them.

    Returns:
        panel, title, model, dataset, view, pooling, depth, run, measured (key of the model with the
        features), method, name (of the method), units (text), per_class, learning_rate, weight_decay, rank,
        statistics, seed, epochs, trained and parameters (numbers), share (%), train_accuracy and
        transfer_accuracy (%), train_samples and test_samples (images), train_loss, transfer_loss; for the
        penultimate feature on the training data nc1, nc1_shuffled, cdnv, samples, classes, width,
        feature_rank, and nc1_summed, the NC1 of the input of SCL FT's classifier. Inapplicable values are
        missing (NaN or NA).

    Raises:
        DegenerateInputError: a run has no accuracy, or its metrics have no NC1; the message names panel and
            run.
    """
    rows = []
    for index, panel in enumerate(settings.panels):
        named = panel.model_dump(include={"title", "model", "dataset", "view", "pooling", "depth"})
        of_panel = {"panel": letter(index), **named}
        for run in panel.runs:
            name = run_name(panel.title, run.run)
            trained = _trained(tables["finetuning", run.run, ""], name)
            collapse = _collapse(tables.get(("metrics", run.model, panel.view)), name)
            rows.append(of_panel | _coordinates(run) | trained | collapse)
    table = pd.DataFrame(rows)
    numbers: Any = {"learning_rate": float, "weight_decay": float, **dict.fromkeys(WHOLE, "Int64")}
    return table.astype(numbers)


def run_name(title: str | None, run: str) -> str:
    """Name of a run in messages."""
    return f"panel {title!r}, run {run!r}"


def _coordinates(run: ShownRun) -> dict[str, Any]:
    return {
        "run": run.run,
        "measured": run.model,
        "method": run.method,
        "name": facts_of(run.method).title,
        "units": " ".join(map(str, run.units)),
        **run.model_dump(include={"per_class", "learning_rate", "weight_decay", "rank", "seed"}),
    }


def _trained(finetuning: pd.DataFrame, name: str) -> dict[str, Any]:
    outcome: dict[str, Any] = {}
    for split, prefix in (("train", "train"), ("test", "transfer")):
        rows = finetuning[finetuning["split"] == split]
        if rows.empty or (split == "test" and rows["accuracy"].isna().any()):
            raise DegenerateInputError(f"{name}: no accuracy on the {split} split")
        row = rows.iloc[0]
        outcome |= {key: row[key] for key in ("statistics", "epochs", "trained", "parameters", "share")}
        outcome["train_samples" if split == "train" else SAMPLES] = row["samples"]
        outcome |= {f"{prefix}_accuracy": float(row["accuracy"]), f"{prefix}_loss": float(row["loss"])}
    return outcome


def _collapse(metrics: pd.DataFrame | None, name: str) -> dict[str, Any]:
    numbers = dict.fromkeys((*COLLAPSE, "nc1_summed", *FEATURE_SIZES, "feature_rank"), float("nan"))
    if metrics is None:
        return numbers
    rows = penultimate_metrics(metrics, "train", name).set_index("metric")
    is_summed = (metrics["module"] == "summed") & (metrics["metric"] == "nc1")
    summed = metrics.loc[is_summed & (metrics["split"] == "train"), "value"]
    return (
        numbers
        | {metric: float(rows["value"][metric]) for metric in COLLAPSE if metric in rows.index}
        | {"nc1_summed": float(summed.iloc[0]) if len(summed) else float("nan")}
        | {size: int(rows[size]["nc1"]) for size in FEATURE_SIZES}
        | {"feature_rank": int(rows["rank"]["nc1"])}
    )


def one_unit(run: Mapping[Any, Any]) -> int:
    """The unit that a run (a row of :func:`runs_table`) tunes; DegenerateInputError for none or several."""
    units = run["units"].split()
    if len(units) != 1:
        tunes = f"units {run['units']}" if units else "no unit"
        raise DegenerateInputError(f"{run_name(run['title'], run['run'])}: tunes {tunes}; it must tune one")
    return int(units[0])


def require_nc1(table: pd.DataFrame) -> None:
    """Raise DegenerateInputError if a run has no NC1; the message names panel, run and features."""
    for row in table[table["nc1"].isna()].to_dict("records"):
        raise DegenerateInputError(
            f"{run_name(row['title'], row['run'])}: no metrics of {row['measured']!r} on {row['view']!r}"
        )


def require_titles(table: pd.DataFrame) -> None:
    """Raise DegenerateInputError if two panels have the same title, which would name rows or columns."""
    titles = table.drop_duplicates("panel")["title"]
    for title in titles[titles.duplicated()]:
        raise DegenerateInputError(f"two panels have the title {title!r}; give them titles that differ")


def name_series(table: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Add to ``name`` what distinguishes runs of one method, if a panel has several kinds of them.

    Two series of Layer FT become ``Layer FT (unit 5)`` and ``Layer FT (unit 8)``; if every panel has only
    one, it stays ``Layer FT``. Options that only one method has, such as the rank of LoRA, are always added.
    ``by`` are columns that the figure shows as an abscissa, which names omit.
    """
    distinguishing = {
        method: [key for key in COORDINATES if key not in by and (_differ(part, key, by) or key in own)]
        for method, part in table.groupby("method")
        for own in [facts_of(str(method)).options]
    }
    names = [_full_name(row, distinguishing[row["method"]]) for row in table.to_dict("records")]
    return table.assign(name=names)


def _differ(part: pd.DataFrame, key: str, by: Sequence[str]) -> bool:
    """Whether runs of a method with the same abscissa in a panel differ in a coordinate."""
    return bool(part.groupby(["panel", *by], dropna=False)[key].nunique(dropna=False).max() > 1)


def _full_name(row: Mapping[Any, Any], keys: Sequence[str]) -> str:
    words = [COORDINATES[key].format(row[key]) for key in keys if not pd.isna(row[key]) and row[key] != ""]
    words = [word.replace("unit ", "units ") if " " in row["units"] else word for word in words]
    return f"{row['name']} ({', '.join(words)})" if words else str(row["name"])


def over_seeds(
    table: pd.DataFrame, values: Sequence[str], by: Sequence[str] = (), sizes: Sequence[str] = ()
) -> pd.DataFrame:
    """Means over seeds, one row per panel, name and abscissa.

    ``values`` are averaged, ``by`` are columns of the abscissa, ``sizes`` further columns to keep.

    Returns:
        the columns of the panel, method, name, those of ``by``, the coordinates, trained, parameters and
        share, those of ``sizes``, seeds (their number), and every value with its standard deviation
        ``<value>_std`` (NaN for one seed), test_samples, and the 95 % interval transfer_accuracy_low to
        transfer_accuracy_high, in the order of the runs.

    Raises:
        DegenerateInputError: runs of one group are not repetitions: two have the same seed, or they differ in
            their options.
    """
    keys = [*PANEL, "method", "name", *by]
    groups = table.groupby(keys, sort=False, dropna=False)
    for _, part in groups:
        _require_seeds(part)
    kept = (*COORDINATES, "trained", "parameters", "share", SAMPLES, *sizes)
    constant = [key for key in kept if key not in by]
    means = groups[constant].first()
    means["seeds"] = groups.size()
    for value in values:
        means[value] = groups[value].mean()
        means[f"{value}_std"] = groups[value].std()
    return with_intervals(means.reset_index(), TRANSFER, SAMPLES)


def with_correlation(table: pd.DataFrame) -> pd.DataFrame:
    """Add the :func:`~nctransfer.reporting.fits.correlation` of nc1 with transfer_accuracy over a panel."""
    parts = []
    for part in by_panel(table):
        both = part.dropna(subset=["nc1", "transfer_accuracy"])
        related = correlation(both["nc1"].to_numpy(), both["transfer_accuracy"].to_numpy())
        parts.append(part.assign(**related))
    return pd.concat(parts, ignore_index=True)


def _require_seeds(part: pd.DataFrame) -> None:
    """Refuse runs that are not repetitions with different seeds."""
    names = f"panel {part['title'].iloc[0]!r}, runs {', '.join(map(repr, part['run']))}"
    if part["seed"].duplicated().any():
        raise DegenerateInputError(f"{names}: one method, one place and one seed; they cannot be told apart")
    for key in COORDINATES:
        if part[key].nunique(dropna=False) > 1:
            values = ", ".join(map(str, part[key].unique()))
            raise DegenerateInputError(
                f"{names}: not repetitions with different seeds; their {key} differ: {values}"
            )
