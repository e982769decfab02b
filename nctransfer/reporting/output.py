"""Writing figures and tables: the same numbers, the same bytes.

A figure is a vector PDF, a PNG and the plotted numbers; a table its numbers, and what a reader
sees of them as Markdown and LaTeX.
"""

from importlib.metadata import version
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from nctransfer.reporting import cells
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


def save_table(
    numbers: pd.DataFrame, readable: pd.DataFrame, csv: Path, md: Path, tex: Path, recipe: str
) -> None:
    """Write a table as CSV, Markdown and LaTeX (booktabs), its recipe and library version as a comment.

    Args:
        numbers: every number, in full precision, for the CSV.
        readable: what a reader sees, text and :class:`~nctransfer.reporting.cells.Cell`; the first
            column names the row. Columns that ``attrs["text"]`` lists begin on the left like it.
        csv: where the numbers go.
        md: where the Markdown goes.
        tex: where the LaTeX goes, a bare ``tabular``.
        recipe: digest of the job.
    """
    note = f"recipe {recipe}; pandas {version('pandas')}"
    save_numbers(numbers, csv)
    on_the_left = (readable.columns[0], *readable.attrs.get("text", ()))
    sides = ["left" if column in on_the_left else "right" for column in readable.columns]
    markdown = readable.map(cells.markdown).to_markdown(index=False, disable_numparse=True, colalign=sides)
    latex = _latex(readable, "".join(side[0] for side in sides))
    for path, text in ((md, f"{markdown}\n\n<!-- {note} -->\n"), (tex, f"% {note}\n{latex}")):
        with atomic_path(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="\n")


def _latex(readable: pd.DataFrame, columns: str) -> str:
    """A table as a booktabs ``tabular``, everything escaped; headings span it, below a rule of their own."""
    readable = readable.reset_index(drop=True)
    commands = readable.map(cells.latex_command)
    style = readable.map(str).style.hide(axis="index").apply(lambda _: commands, axis=None)
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    head, body = style.to_latex(hrules=True, column_format=columns).split("\\midrule\n", 1)
    lines = body.splitlines(keepends=True)
    for row, cell in enumerate(readable.iloc[:, 0]):
        if cells.is_heading(cell):
            rule = "\\midrule\n" if row else ""
            name = lines[row].split(" & ")[0]
            lines[row] = f"{rule}\\multicolumn{{{len(columns)}}}{{l}}{{{name}}} \\\\\n"
    return f"{head}\\midrule\n{''.join(lines)}".replace("±", r"$\pm$")
