"""One model on several data sets: transfer accuracy against NC1 or training accuracy (Fig. 4 of the paper).

Each data set is a point: the test accuracy of a linear probe on the model's penultimate feature, against the
panel's ``abscissa``: ``nc1`` of that feature on the data set's training images, or the probe's
``train_accuracy``. Lines, parabolas and correlations in either, and in log NC1, are always computed. NC1
grows with the number of classes and of images per class, so it compares models on one data set better than
data sets: n, K, the width, the rank and NC1 under shuffled labels are in the table.
"""

import pandas as pd
from matplotlib.figure import Figure

from nctransfer.reporting.points import points_table
from nctransfer.reporting.relations import SCALES, Abscissa, draw_relations, with_fits
from nctransfer.reporting.series_style import looks_of_labels
from nctransfer.reporting.settings import FigureSettings, PointsPanel
from nctransfer.reporting.style import NC1, SPLITS
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = FigureSettings[PointsPanel]


def tabulate(settings: FigureSettings[PointsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel and data set.

    Returns:
        the columns of :func:`~nctransfer.reporting.points.points_table` (the label is the data set's name),
        the panel's abscissa, and its fits, repeated on its rows: ``nc1_...`` in NC1, ``log_nc1_...`` in log10
        NC1 (turning points are NC1 in both), ``train_accuracy_...`` in training accuracy.
    """
    table = points_table(settings, tables)
    table.insert(2, "abscissa", [panel.abscissa for panel in settings.panels for _ in panel.points])
    return with_fits(table, SCALES, settings.seed)


def draw(numbers: pd.DataFrame, settings: FigureSettings[PointsPanel]) -> Figure:
    """Draw the figure from its numbers."""

    def abscissa(first: pd.Series) -> Abscissa:
        if first["abscissa"] == "nc1":
            return settings.fit, f"{NC1} on each data set's {SPLITS[first['split']]}\N{NO-BREAK SPACE}data"
        return "train_accuracy", "Accuracy on training data (%)"

    ordinate = "Transfer accuracy on test data (%)"
    return draw_relations(numbers, settings, looks_of_labels(numbers), abscissa, ordinate)
