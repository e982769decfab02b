"""One model on several data sets: transfer accuracy against NC1 or training accuracy (Fig. 4 of the paper).

A point is a data set: the test accuracy of a linear probe on the model's penultimate feature, against what
the panel names as its ``abscissa``: ``nc1`` of that feature on the data set's training images, or
``train_accuracy`` of the probe. Lines, parabolas and correlations in either, and in log NC1, are always
computed. NC1 grows with the number of classes and of images a class, so data sets do not compare by it as
models do on one of them: n, K, the width, the rank and NC1 under shuffled labels are in the table.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from nctransfer.reporting.marks import by_label
from nctransfer.reporting.points import Tables, points_table
from nctransfer.reporting.relations import SCALES, Abscissa, draw_relations, with_fits
from nctransfer.reporting.style import NC1, SPLITS


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel and data set.

    Args:
        settings: the figure's settings (panels, learning rate, weight decay, seed).
        tables: tidy tables by (name, model, view): ``metrics`` and ``probes`` of every point.

    Returns:
        the columns of :func:`~nctransfer.reporting.points.points_table`, where the label is the data
        set's name, the panel's abscissa, and its fits, repeated on its rows: ``nc1_...`` in NC1,
        ``log_nc1_...`` in log10 NC1 (turning points are NC1 in both), ``train_accuracy_...`` in
        training accuracy.

    Raises:
        DegenerateInputError: a point has no NC1 or no accuracy.
    """
    table = points_table(settings, tables)
    abscissas = [panel["abscissa"] for panel in settings["panels"] for _ in panel["points"]]
    table.insert(2, "abscissa", abscissas)
    return with_fits(table, SCALES, settings["seed"])


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style, fit, curve).
    """

    def abscissa_of(first: pd.Series) -> Abscissa:
        if first["abscissa"] == "nc1":
            return Abscissa(settings["fit"], f"{NC1} on each data set's {SPLITS[first['split']]} data")
        return Abscissa("train_accuracy", "Accuracy on training data (%)")

    return draw_relations(table, settings, by_label, abscissa_of, "Transfer accuracy on test data (%)")
