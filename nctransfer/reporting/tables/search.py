"""Search for learning rate and weight decay (Table 4 of the paper)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nctransfer.reporting.cells import MISSING, Cell, Mark, seeds_in_words, spread
from nctransfer.reporting.points import Tables
from nctransfer.reporting.runs import name_series, over_seeds, require_titles, runs_table

GRID = ("learning_rate", "weight_decay")
VALUES = ("train_accuracy", "transfer_accuracy")


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the table, a row a panel, method and cell of the grid.

    Args:
        settings: the table's settings (panels).
        tables: tidy tables by (name, model, view): ``finetuning`` of every run.

    Returns:
        the columns of :func:`~nctransfer.reporting.runs.over_seeds` by learning_rate and weight_decay,
        train_accuracy and transfer_accuracy (%) with their standard deviations, and chosen: the cell
        of highest mean transfer accuracy of its panel and method; of equal ones that of the
        smaller learning rate, then of the smaller weight decay.

    Raises:
        DegenerateInputError: a run has no accuracy, two runs cannot be told apart, or two panels have one
            title.
    """
    runs = runs_table(settings, tables)
    require_titles(runs)
    table = over_seeds(name_series(runs, by=GRID), VALUES, GRID)
    # means of the same accuracies in another order differ in their last bits
    ordered = table.assign(mean=-table["transfer_accuracy"].round(9)).sort_values(["mean", *GRID])
    chosen = ordered.groupby(["panel", "name"], sort=False).head(1).index
    return table.assign(chosen=table.index.isin(chosen))


def present(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """What a reader sees: a block a panel, a row a method with what was chosen for it.

    Args:
        table: what :func:`tabulate` gave.
        settings: the table's settings; nothing of them is read.

    Returns:
        ``Method``, ``Learning rate``, ``Weight decay``, the accuracy of the chosen cell, and from what to
        what accuracies range over the cells of the grid, with their number.
    """
    accuracy = f"Transfer accuracy (%){seeds_in_words(table['seeds'].tolist())}"
    columns = ["Method", "Learning rate", "Weight decay", accuracy, "Over the grid (%)", "Cells"]
    rows: list[list[str | Cell]] = []
    for _, part in table.groupby("panel", sort=False):
        heading = Cell(str(part["title"].iloc[0]), Mark.HEADING)
        rows.append([heading, *[""] * (len(columns) - 1)])
        rows += [_row(cells) for _, cells in part.groupby("name", sort=False)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _row(cells: pd.DataFrame) -> list[str | Cell]:
    """What was chosen of the cells of one method."""
    best = cells[cells["chosen"]].iloc[0]
    low, high = cells["transfer_accuracy"].min(), cells["transfer_accuracy"].max()
    return [
        best["name"],
        *(MISSING if pd.isna(best[key]) else f"{best[key]:g}" for key in GRID),
        spread(best["transfer_accuracy"], best["transfer_accuracy_std"], best["seeds"], digits=".2f"),
        f"{low:.2f} to {high:.2f}",
        str(len(cells)),
    ]
