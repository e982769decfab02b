"""Methods of fine-tuning side by side: accuracy, collapse and cost (Table 3 of the paper)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nctransfer.reporting.cells import Cell, Mark, marked, seeds_in_words, shown, spread
from nctransfer.reporting.points import Tables
from nctransfer.reporting.runs import (
    SIZES,
    UNTRAINED,
    name_series,
    over_seeds,
    require_nc1,
    require_titles,
    runs_table,
    with_correlation,
)

VALUES = ("train_accuracy", "transfer_accuracy", "nc1", "nc1_shuffled", "nc1_summed", "cdnv")


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the table, a row a panel and method.

    Args:
        settings: the table's settings (panels).
        tables: tidy tables by (name, model, view): ``finetuning`` and ``metrics`` of every run.

    Returns:
        the columns of :func:`~nctransfer.reporting.runs.over_seeds`, samples, classes and width of the
        penultimate feature on the training data, and means and standard deviations of train_accuracy and
        transfer_accuracy (%), of that feature's nc1, nc1_shuffled and cdnv, and of nc1_summed (NC1 of what
        the classifier of SCL FT sees). The correlation of nc1 with transfer_accuracy over the panel's
        methods is repeated on its rows: pearson, its interval (95 %) pearson_low and pearson_high,
        spearman.

    Raises:
        DegenerateInputError: a run has no accuracy or, but for zero-shot, no NC1; two runs cannot be told
            apart; or two panels have one title.
    """
    runs = runs_table(settings, tables)
    require_titles(runs)
    require_nc1(runs[runs["method"] != UNTRAINED])
    return with_correlation(over_seeds(name_series(runs), VALUES, sizes=SIZES))


def present(table: pd.DataFrame, settings: Mapping[str, Any]) -> pd.DataFrame:
    """What a reader sees: three blocks of methods, a column a panel, the best and second best marked.

    Args:
        table: what :func:`tabulate` gave.
        settings: the table's settings; nothing of them is read.

    Returns:
        ``Method`` and a column a panel; a block is a heading and a row a method, and says how many seeds
        its means are over. A method that a panel does not have is a dash.
    """
    seeds = seeds_in_words(table["seeds"].tolist())
    blocks = {
        f"Transfer accuracy (%){seeds}": _accuracies,
        "NC1 of the penultimate feature on the training data": _collapses,
        "Share of parameters trained (%)": _shares,
    }
    names = list(dict.fromkeys(table["name"]))
    panels = {
        str(part["title"].iloc[0]): part.set_index("name").reindex(names)
        for _, part in table.groupby("panel", sort=False)
    }
    rows: list[list[str | Cell]] = []
    for heading, column in blocks.items():
        rows.append([Cell(heading, Mark.HEADING), *[""] * len(panels)])
        rows += map(list, zip(names, *(column(part) for part in panels.values()), strict=True))
    return pd.DataFrame(rows, columns=["Method", *panels], dtype=object)


def _accuracies(part: pd.DataFrame) -> list[str | Cell]:
    """Mean and spread, the highest marked."""
    digits = [".2f"] * len(part)
    scores = [shown(mean, ".2f") for mean in part["transfer_accuracy"]]
    return marked(_texts(part, "transfer_accuracy", digits), scores)


def _collapses(part: pd.DataFrame) -> list[str | Cell]:
    """Mean and spread, the lowest marked."""
    digits = [_digits(mean) for mean in part["nc1"]]
    scores = [-shown(*mean) for mean in zip(part["nc1"], digits, strict=True)]
    return marked(_texts(part, "nc1", digits), scores)


def _shares(part: pd.DataFrame) -> list[str | Cell]:
    """Share of the parameters, which has no best."""
    digits = [".1e" if 0 < share < 0.005 else ".2f" for share in part["share"]]
    return [spread(share, 0, 1, form) for share, form in zip(part["share"], digits, strict=True)]


def _texts(part: pd.DataFrame, value: str, digits: list[str]) -> list[str]:
    columns = part[value], part[f"{value}_std"], part["seeds"], digits
    return [spread(*row) for row in zip(*columns, strict=True)]


def _digits(nc1: float) -> str:
    """Two decimals, more where they would leave fewer than three digits."""
    if np.isnan(nc1) or nc1 >= 1:
        return ".2f"
    return f".{2 - int(np.floor(np.log10(nc1)))}f" if nc1 >= 0.001 else ".1e"
