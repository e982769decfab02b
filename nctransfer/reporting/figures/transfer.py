"""Transfer accuracy against NC1, a point a pre-trained model (Figs. 1, 2, 10, 11 and 15 of the paper).

A panel shows one downstream data set; its abscissa is NC1 on a data set that the panel names:
the downstream one, the source, or one for all panels. Lines, parabolas and correlations, each
in NC1 and in log NC1, are always computed; ``fit`` chooses the abscissa that is drawn, ``curve``
what is drawn through the points: ``line``, ``parabola``, ``path`` (joined in order) or ``none``.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from nctransfer.reporting.fits import FITS
from nctransfer.reporting.marks import marks_of
from nctransfer.reporting.points import Tables, points_table
from nctransfer.reporting.relations import Abscissa, draw_relations, with_fits
from nctransfer.reporting.style import NC1, SPLITS


def tabulate(settings: Mapping[str, Any], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, a row a panel and point.

    Args:
        settings: the figure's settings (panels, learning rate, weight decay, seed).
        tables: tidy tables by (name, model, view): ``metrics`` and ``probes`` of every point.

    Returns:
        the columns of :func:`~nctransfer.reporting.points.points_table`, and the panel's fits,
        repeated on its rows: ``nc1_...`` in NC1, ``log_nc1_...`` in log10 NC1 (turning points are
        NC1 in both).

    Raises:
        DegenerateInputError: a point has no NC1 or no accuracy.
    """
    return with_fits(points_table(settings, tables), FITS, settings["seed"])


def draw(table: pd.DataFrame, settings: Mapping[str, Any]) -> Figure:
    """Draw the figure from its numbers.

    Args:
        table: what :func:`tabulate` gave.
        settings: the figure's settings (style, fit, curve).
    """

    def nc1_of(first: pd.Series) -> Abscissa:
        return Abscissa(settings["fit"], f"{NC1} on {first['nc1_dataset']} {SPLITS[first['split']]} data")

    return draw_relations(table, settings, marks_of, nc1_of, "Transfer accuracy (%)")
