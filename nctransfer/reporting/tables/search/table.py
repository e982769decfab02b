"""Search for learning rate and weight decay (Table 4 of the paper)."""

import pandas as pd

from nctransfer.reporting import finetuning_runs as runs_of
from nctransfer.reporting.panels import by_panel
from nctransfer.reporting.settings import RunsPanel, TableSettings
from nctransfer.reporting.table_cells import MISSING, Cell, heading, seeds_in_words, spread
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = TableSettings[RunsPanel]

GRID = ("learning_rate", "weight_decay")


def tabulate(settings: TableSettings[RunsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the table, one row per panel, method and cell of the grid.

    Returns:
        the columns of ``finetuning_runs.over_seeds`` by learning_rate and weight_decay, train_accuracy and
        transfer_accuracy (%) with their standard deviations, and chosen: the cell with the highest mean
        transfer accuracy of its panel and method; in case of a tie the one with the smaller learning rate,
        then with the smaller weight decay.

    Raises:
        DegenerateInputError: a run has no accuracy, two runs cannot be told apart, or two panels have the
            same title.
    """
    runs = runs_of.runs_table(settings, tables)
    runs_of.require_titles(runs)
    table = runs_of.over_seeds(runs_of.name_series(runs, by=GRID), runs_of.ACCURACIES, GRID)
    # means of the same accuracies in another order differ in their last bits
    ordered = table.assign(mean=-table["transfer_accuracy"].round(9)).sort_values(["mean", *GRID])
    chosen = ordered.groupby(["panel", "name"], sort=False).head(1).index
    return table.assign(chosen=table.index.isin(chosen))


def present(numbers: pd.DataFrame, settings: TableSettings[RunsPanel]) -> pd.DataFrame:
    """The readable form: one block per panel, one row per method with its chosen cell.

    Returns:
        ``Method``, ``Learning rate``, ``Weight decay``, the accuracy of the chosen cell, and the range of
        accuracies over the cells of the grid, with their number.
    """
    accuracy = f"Transfer accuracy (%){seeds_in_words(numbers['seeds'].tolist())}"
    columns = ["Method", "Learning rate", "Weight decay", accuracy, "Over the grid (%)", "Cells"]
    rows: list[list[str | Cell]] = []
    for part in by_panel(numbers):
        rows.append(heading(str(part["title"].iloc[0]), len(columns)))
        rows += [_row(cells) for _, cells in part.groupby("name", sort=False)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _row(cells: pd.DataFrame) -> list[str | Cell]:
    best = cells[cells["chosen"]].iloc[0]
    low, high = cells["transfer_accuracy"].min(), cells["transfer_accuracy"].max()
    return [
        best["name"],
        *(MISSING if pd.isna(best[key]) else f"{best[key]:g}" for key in GRID),
        spread(best["transfer_accuracy"], best["transfer_accuracy_std"], best["seeds"], digits=".2f"),
        f"{low:.2f} to {high:.2f}",
        str(len(cells)),
    ]
