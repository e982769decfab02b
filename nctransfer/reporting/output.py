"""Writing a figure: vector PDF, PNG and the plotted numbers; the same numbers, the same bytes."""

from importlib.metadata import version
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from nctransfer.storage.files import atomic_path


def save_figure(figure: Figure, pdf: Path, png: Path, dpi: int, recipe: str) -> None:
    """Write a figure as PDF and PNG without times, its recipe and library versions in the metadata."""
    libraries = "; ".join(f"{name} {version(name)}" for name in ("matplotlib", "seaborn", "numpy", "pandas"))
    note = f"recipe {recipe}; {libraries}"
    with matplotlib.rc_context({"pdf.fonttype": 42}), atomic_path(pdf) as partial:
        figure.savefig(partial, metadata={"CreationDate": None, "Creator": "nctransfer", "Keywords": note})
    with atomic_path(png) as partial:
        figure.savefig(partial, dpi=dpi, metadata={"Software": None, "Description": note})


def save_numbers(table: pd.DataFrame, csv: Path) -> None:
    """Write the plotted numbers as CSV, numbers in full precision."""
    with atomic_path(csv) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")
