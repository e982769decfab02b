"""Methods of fine-tuning side by side: accuracy, collapse and cost (Table 3 of the paper)."""

import numpy as np
import pandas as pd

from nctransfer.reporting import finetuning_runs as runs_of
from nctransfer.reporting.panels import by_panel
from nctransfer.reporting.settings import RunsPanel, TableSettings
from nctransfer.reporting.table_cells import (
    Cell,
    accuracy_text,
    as_written,
    emphasised,
    heading,
    seeds_in_words,
    spread,
)
from nctransfer.reporting.tidy_rows import Tables
from nctransfer.reporting.tuning_methods import facts_of

SETTINGS = TableSettings[RunsPanel]


def tabulate(settings: TableSettings[RunsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the table, one row per panel and method.

    Returns:
        the columns of ``finetuning_runs.over_seeds``, samples, classes and width of the penultimate feature
        on the training data, and means and standard deviations of train_accuracy and transfer_accuracy (%),
        of that feature's nc1, nc1_shuffled and cdnv, and of nc1_summed (NC1 of the input of SCL FT's
        classifier). The correlation of nc1 with transfer_accuracy over the panel's methods is repeated on its
        rows: pearson, its interval (95 %) pearson_low and pearson_high, spearman.

    Raises:
        DegenerateInputError: a run has no accuracy or, except for zero-shot, no NC1; two runs cannot be told
            apart; or two panels have the same title.
    """
    runs = runs_of.runs_table(settings, tables)
    runs_of.require_titles(runs)
    runs_of.require_nc1(runs[[facts_of(method).trains for method in runs["method"]]])
    nc1, nc1_shuffled, cdnv = runs_of.COLLAPSE
    values = (*runs_of.ACCURACIES, nc1, nc1_shuffled, "nc1_summed", cdnv)
    means = runs_of.over_seeds(runs_of.name_series(runs), values, sizes=runs_of.FEATURE_SIZES)
    return runs_of.with_correlation(means)


def present(numbers: pd.DataFrame, settings: TableSettings[RunsPanel]) -> pd.DataFrame:
    """The readable form: three blocks of methods, one column per panel; the best are emphasised.

    Returns:
        ``Method`` and one column per panel; a block is a heading, with the number of seeds, and one row per
        method. A dash means that a panel does not have the method.
    """
    seeds = seeds_in_words(numbers["seeds"].tolist())
    blocks = {
        f"Transfer accuracy (%){seeds}": _accuracies,
        "NC1 of the penultimate feature on the training data": _collapses,
        "Share of parameters trained (%)": _shares,
    }
    names = list(dict.fromkeys(numbers["name"]))
    panels = {str(part["title"].iloc[0]): part.set_index("name").reindex(names) for part in by_panel(numbers)}
    rows: list[list[str | Cell]] = []
    for text, column in blocks.items():
        rows.append(heading(text, len(panels) + 1))
        rows += map(list, zip(names, *(column(part) for part in panels.values()), strict=True))
    return pd.DataFrame(rows, columns=["Method", *panels], dtype=object)


def _accuracies(part: pd.DataFrame) -> list[str | Cell]:
    scores = [as_written(mean, ".2f") for mean in part["transfer_accuracy"]]
    return emphasised([accuracy_text(row, ".2f") for row in part.to_dict("records")], scores)


def _collapses(part: pd.DataFrame) -> list[str | Cell]:
    digits = [_digits(mean) for mean in part["nc1"]]
    scores = [-as_written(*mean) for mean in zip(part["nc1"], digits, strict=True)]
    columns = part["nc1"], part["nc1_std"], part["seeds"], digits
    return emphasised([spread(*row) for row in zip(*columns, strict=True)], scores)


def _shares(part: pd.DataFrame) -> list[str | Cell]:
    digits = [".1e" if 0 < share < 0.005 else ".2f" for share in part["share"]]
    return [spread(share, 0, 1, form) for share, form in zip(part["share"], digits, strict=True)]


def _digits(nc1: float) -> str:
    """Two decimals, more if these would leave fewer than three digits."""
    if np.isnan(nc1) or nc1 >= 1:
        return ".2f"
    return f".{2 - int(np.floor(np.log10(nc1)))}f" if nc1 >= 0.001 else ".1e"
