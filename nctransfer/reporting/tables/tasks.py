"""Methods of fine-tuning over many tasks (Table 5 of the paper)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.cells import Cell, marked, seeds_in_words, shown, spread
from nctransfer.reporting.points import Tables
from nctransfer.reporting.runs import name_series, over_seeds, require_titles, runs_table

AVERAGE = "Average"
VALUES = ("train_accuracy", "transfer_accuracy")
DIGITS = ".1f"


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the table, a row a task and method, and an average a method.

    Args:
        settings: the table's settings (panels, a task each).
        tables: tidy tables by (name, model, view): ``finetuning`` of every run.

    Returns:
        the columns of :func:`~nctransfer.reporting.runs.over_seeds`, train_accuracy and transfer_accuracy
        (%) with their standard deviations, and difference: transfer accuracy of the first method minus
        this one's, so that the first wins where it is positive (missing for the first itself, and for
        tasks that one of the two lacks). With several tasks, the last rows (no panel, titled Average)
        are each method's average over tasks and its spread over seeds; missing where no seed of a
        method has every task.

    Raises:
        DegenerateInputError: a run has no accuracy, two runs cannot be told apart, or two panels have one
            title.
    """
    runs = name_series(runs_table(settings, tables))
    require_titles(runs)
    table = over_seeds(runs, VALUES)
    if runs["panel"].nunique() > 1:
        table = pd.concat([table, _averages(runs)], ignore_index=True)
    first = table["name"].iloc[0]
    of_first = table[table["name"] == first].set_index("title")["transfer_accuracy"]
    difference = table["title"].map(of_first) - table["transfer_accuracy"]
    return table.assign(difference=difference.where(table["name"] != first))


def _averages(runs: pd.DataFrame) -> pd.DataFrame:
    """A row a method: its average over tasks, from the seeds that all tasks have."""
    tasks = runs["panel"].nunique()
    rows = []
    for (method, name), part in runs.groupby(["method", "name"], sort=False):
        seeds = part.groupby("seed")
        of_seeds = seeds[list(VALUES)].mean()[seeds.size() == tasks]
        row = {"title": AVERAGE, "method": method, "name": name, "seeds": len(of_seeds)}
        for value in VALUES:
            row[value] = of_seeds[value].mean()
            row[f"{value}_std"] = of_seeds[value].std() if len(of_seeds) > 1 else 0.0
        rows.append(row)
    return pd.DataFrame(rows)


def present(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """What a reader sees: a row a task and a last one for the average, a column a method, the best marked.

    Args:
        table: what :func:`tabulate` gave.
        settings: the table's settings; nothing of them is read.

    Returns:
        the task, headed by what is shown and over how many seeds, and a column a method. A method that
        lacks a task has a dash there.
    """
    names = list(dict.fromkeys(table["name"]))
    heading = f"Transfer accuracy (%){seeds_in_words(table['seeds'].tolist())}"
    rows: list[list[str | Cell]] = []
    for title, part in table.groupby("title", sort=False):
        methods = part.set_index("name").reindex(names)
        columns = methods["transfer_accuracy"], methods["transfer_accuracy_std"], methods["seeds"]
        texts = [spread(*row, digits=DIGITS) for row in zip(*columns, strict=True)]
        rows.append([str(title), *marked(texts, [shown(mean, DIGITS) for mean in columns[0]])])
    return pd.DataFrame(rows, columns=[heading, *names], dtype=object)
