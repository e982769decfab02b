"""Transfer accuracy against NC1, one point per pre-trained model (Figs. 1, 2, 10, 11 and 15 of the paper).

A panel shows one downstream data set; its abscissa is NC1 on a data set that the panel names: the downstream
one, the source, or one for all panels. Lines, parabolas and correlations in NC1 and in log NC1 are always
computed; ``fit`` chooses the abscissa, ``curve`` what is drawn through the points: ``line``, ``parabola``,
``path`` (points joined in order) or ``none``.
"""

import pandas as pd
from matplotlib.figure import Figure

from nctransfer.reporting.fits import FITS
from nctransfer.reporting.points import points_table
from nctransfer.reporting.relations import Abscissa, draw_relations, with_fits
from nctransfer.reporting.series_style import looks_of_points
from nctransfer.reporting.settings import FigureSettings, PointsPanel
from nctransfer.reporting.style import NC1, SPLITS
from nctransfer.reporting.tidy_rows import Tables

SETTINGS = FigureSettings[PointsPanel]


def tabulate(settings: FigureSettings[PointsPanel], tables: Tables) -> pd.DataFrame:
    """Every number of the figure, one row per panel and point.

    Returns:
        the columns of :func:`~nctransfer.reporting.points.points_table`, and the panel's fits, repeated on
        its rows: ``nc1_...`` in NC1, ``log_nc1_...`` in log10 NC1 (turning points are NC1 in both).
    """
    return with_fits(points_table(settings, tables), FITS, settings.seed)


def draw(numbers: pd.DataFrame, settings: FigureSettings[PointsPanel]) -> Figure:
    """Draw the figure from its numbers."""

    def abscissa(first: pd.Series) -> Abscissa:
        where = f"{first['nc1_dataset']} {SPLITS[first['split']]}\N{NO-BREAK SPACE}data"
        return settings.fit, f"{NC1} on {where}"

    return draw_relations(numbers, settings, looks_of_points(numbers), abscissa, "Transfer accuracy (%)")
