"""Methods of fine-tuning over many tasks (Table 5 of the paper)."""

import pandas as pd

from nctransfer.reporting import finetuning_runs as runs_of
from nctransfer.reporting.settings import RunsPanel, TableSettings
from nctransfer.reporting.table_cells import Cell, accuracy_text, as_written, emphasised, seeds_in_words
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = TableSettings[RunsPanel]

AVERAGE = "Average"
DIGITS = ".1f"


def tabulate(settings: TableSettings[RunsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the table, one row per task and method, and an average per method.

    Returns:
        the columns of ``finetuning_runs.over_seeds``, train_accuracy and transfer_accuracy (%) with their
        standard deviations, and difference: transfer accuracy of the first method minus that of this one,
        positive if the first is better (missing for the first itself, and for tasks that one of the two
        lacks). With several tasks, the last rows (no panel, titled Average) are each method's average over
        tasks and its spread over seeds; missing if no seed of a method has every task.

    Raises:
        DegenerateInputError: a run has no accuracy, two runs cannot be told apart, or two panels have the
            same title.
    """
    runs = runs_of.name_series(runs_of.runs_table(settings, tables))
    runs_of.require_titles(runs)
    table = runs_of.over_seeds(runs, runs_of.ACCURACIES)
    if runs["panel"].nunique() > 1:
        table = pd.concat([table, _averages(runs)], ignore_index=True)
    first = table["name"].iloc[0]
    of_first = table[table["name"] == first].set_index("title")["transfer_accuracy"]
    difference = table["title"].map(of_first) - table["transfer_accuracy"]
    return table.assign(difference=difference.where(table["name"] != first))


def _averages(runs: pd.DataFrame) -> pd.DataFrame:
    """One row per method: its average over tasks, from the seeds that all tasks have."""
    tasks = runs["panel"].nunique()
    rows = []
    for (method, name), part in runs.groupby(["method", "name"], sort=False):
        seeds = part.groupby("seed")
        of_seeds = seeds[list(runs_of.ACCURACIES)].mean()[seeds.size() == tasks]
        row = {"title": AVERAGE, "method": method, "name": name, "seeds": len(of_seeds)}
        for value in runs_of.ACCURACIES:
            row[value] = of_seeds[value].mean()
            row[f"{value}_std"] = of_seeds[value].std()
        rows.append(row)
    return pd.DataFrame(rows)


def present(numbers: pd.DataFrame, settings: TableSettings[RunsPanel]) -> pd.DataFrame:
    """The readable form: one row per task, the average last, one column per method; the best is emphasised.

    Returns:
        the task, with the quantity and the number of seeds as heading, and one column per method. A dash
        means that the method lacks the task.
    """
    names = list(dict.fromkeys(numbers["name"]))
    corner = f"Transfer accuracy (%){seeds_in_words(numbers['seeds'].tolist())}"
    rows: list[list[str | Cell]] = []
    for title, part in numbers.groupby("title", sort=False):
        methods = part.set_index("name").reindex(names)
        texts = [accuracy_text(row, DIGITS) for row in methods.to_dict("records")]
        scores = [as_written(mean, DIGITS) for mean in methods["transfer_accuracy"]]
        rows.append([str(title), *emphasised(texts, scores)])
    return pd.DataFrame(rows, columns=[corner, *names], dtype=object)
