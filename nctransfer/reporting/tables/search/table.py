"""Search for learning rate and weight decay (Table 4 of the paper).

The choice is made on images held out of the training split, never on the test split.
"""

import numpy as np
import pandas as pd

from nctransfer.reporting import finetuning_runs as runs_of
from nctransfer.reporting.panels import by_panel, letter
from nctransfer.reporting.settings import SearchPanel, TableSettings
from nctransfer.reporting.table_cells import MISSING, Cell, heading, seeds_in_words, spread
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = TableSettings[SearchPanel]

GRID = ("learning_rate", "weight_decay")


def tabulate(settings: TableSettings[SearchPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the table, one row per panel, method and cell of the grid.

    Returns:
        the columns of ``finetuning_runs.over_seeds`` by learning_rate and weight_decay, train_accuracy and
        validation_accuracy (%) with their standard deviations; chosen: the cell with the highest mean
        validation accuracy of its panel and method, in case of a tie the one with the smaller learning rate,
        then with the smaller weight decay; where the choice comes from: split, validation (its number of
        images) and grid (text); and, as pairs of columns, published and in_use (in ``finetuning.rates``), and
        in_use_from (ours, published, both or other).

    Raises:
        DegenerateInputError: a run has no accuracy, two runs cannot be told apart, or two panels have the
            same title.
    """
    runs = runs_of.runs_table(settings, tables)
    runs_of.require_titles(runs)
    table = runs_of.over_seeds(runs_of.name_series(runs, by=GRID), runs_of.ACCURACIES, GRID)
    # the held-out images stand in the place of the test split
    table.columns = table.columns.str.replace("transfer_accuracy", "validation_accuracy")
    # means of the same accuracies in another order differ in their last bits
    ordered = table.assign(mean=-table["validation_accuracy"].round(9)).sort_values(["mean", *GRID])
    chosen = ordered.groupby(["panel", "name"], sort=False).head(1).index
    table = table.assign(chosen=table.index.isin(chosen))
    panels = {letter(index): panel for index, panel in enumerate(settings.panels)}
    groups = table.groupby(["panel", "name"], sort=False)
    parts = [_with_origins(cells, panels[cells["panel"].iloc[0]]) for _, cells in groups]
    return pd.concat(parts).sort_index()


def _with_origins(cells: pd.DataFrame, panel: SearchPanel) -> pd.DataFrame:
    """The cells of a panel and method, with where the choice and the pairs beside it come from."""
    best, rates = cells[cells["chosen"]].iloc[0], panel.rates[cells["method"].iloc[0]]
    tried = (sorted(cells[key].dropna().unique()) for key in GRID)
    origins = {"ours": tuple(best[key] for key in GRID), "published": rates.published}
    same = [origin for origin, pair in origins.items() if pair == rates.in_use]
    pairs = {"published": rates.published, "in_use": rates.in_use}
    return cells.assign(
        split="held out of train",
        validation=panel.validation,
        grid=" x ".join("{" + ", ".join(f"{value:g}" for value in values) + "}" for values in tried),
        **{
            f"{pair}_{key}": value
            for pair, values in pairs.items()
            for key, value in zip(GRID, values or (np.nan, np.nan), strict=True)
        },
        in_use_from=" and ".join(same) or "other",
    )


def present(numbers: pd.DataFrame, settings: TableSettings[SearchPanel]) -> pd.DataFrame:
    """The readable form: one block per panel, one row per method with its chosen cell.

    Returns:
        ``Method``, ``Learning rate``, ``Weight decay``, the accuracy of the chosen cell, the range of
        accuracies over the grid, the grid, the published pair, and the pair in use with its origin. The
        heading of a block says on which images the choice was made.
    """
    accuracy = f"Validation accuracy (%){seeds_in_words(numbers['seeds'].tolist())}"
    grid = ("Over the grid (%)", "Grid", "Published", "In use")
    columns = ["Method", "Learning rate", "Weight decay", accuracy, *grid]
    rows: list[list[str | Cell]] = []
    for part in by_panel(numbers):
        first = part.iloc[0]
        images = f"{first['validation']} images held out of the training split of {first['dataset']}"
        rows.append(heading(f"{first['title']}: chosen on {images}", len(columns)))
        rows += [_row(cells) for _, cells in part.groupby("name", sort=False)]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _row(cells: pd.DataFrame) -> list[str | Cell]:
    best = cells[cells["chosen"]].iloc[0]
    low, high = cells["validation_accuracy"].min(), cells["validation_accuracy"].max()
    in_use = _pair(best, "in_use_")
    return [
        best["name"],
        *(MISSING if pd.isna(best[key]) else f"{best[key]:g}" for key in GRID),
        spread(best["validation_accuracy"], best["validation_accuracy_std"], best["seeds"], digits=".2f"),
        f"{low:.2f} to {high:.2f}",
        best["grid"],
        _pair(best, "published_"),
        in_use if in_use == MISSING else f"{in_use} ({best['in_use_from']})",
    ]


def _pair(row: pd.Series, prefix: str) -> str:
    """A learning rate and weight decay."""
    values = [row[f"{prefix}{key}"] for key in GRID]
    return MISSING if pd.isna(values).any() else ", ".join(f"{value:g}" for value in values)
