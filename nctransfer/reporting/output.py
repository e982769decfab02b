"""Write figures and tables, with the same bytes for the same numbers.

A figure is a PDF, a PNG and the plotted numbers; a table its numbers, and a readable form as Markdown, LaTeX
and HTML. Next to each is a sidecar that records what made it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure
from pandas.api.types import is_numeric_dtype

from nctransfer.reporting import pages, table_cells
from nctransfer.stamp import Stamp
from nctransfer.storage.files import atomic_path, file_checksum, save_text
from nctransfer.versions import library_versions, package_version, software

# What pandas leaves as it is, and LaTeX's text fonts lack.
LATEX = str.maketrans({"±": r"$\pm$", "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}"})


def save_figure(
    figure: Figure, pdf: Path, png: Path, dpi: int, digest: str, framed: Figure | None = None
) -> None:
    """Write a figure as PDF, and as PNG (``framed``, with published windows, if given) without times."""
    libraries = library_versions(("matplotlib", "seaborn", "numpy", "pandas"))
    versions = {"nctransfer": package_version()} | libraries
    note = "; ".join([f"digest {digest}", *(f"{name} {number}" for name, number in versions.items())])
    with matplotlib.rc_context({"pdf.fonttype": 42}), atomic_path(pdf) as partial:
        figure.savefig(partial, metadata={"CreationDate": None, "Creator": "nctransfer", "Keywords": note})
    with atomic_path(png) as partial:
        (framed or figure).savefig(partial, dpi=dpi, metadata={"Software": None, "Description": note})


def save_numbers(table: pd.DataFrame, csv: Path) -> None:
    """Write the plotted numbers as CSV, in full precision, without texts that a spreadsheet would compute."""
    texts = [name for name in table if not is_numeric_dtype(table[name])]
    table = table.assign(**{str(name): table[name].map(table_cells.inert) for name in texts})
    with atomic_path(csv) as partial:
        table.to_csv(partial, index=False, lineterminator="\n")


def save_table(
    numbers: pd.DataFrame, readable: pd.DataFrame, csv: Path, md: Path, tex: Path, digest: str
) -> None:
    """Write a table as CSV, Markdown and LaTeX (booktabs), with digest and library version as a comment.

    ``numbers`` go to the CSV in full precision. ``readable`` holds texts and
    :class:`~nctransfer.reporting.table_cells.Cell`; its first column names the row, and those in
    ``attrs["text"]`` are left-aligned like it. The LaTeX is a bare ``tabular``.
    """
    note = f"digest {digest}; pandas {version('pandas')}"
    readable = readable.map(table_cells.on_one_line).rename(columns=table_cells.on_one_line)
    save_numbers(numbers, csv)
    left_aligned = (readable.columns[0], *readable.attrs.get("text", ()))
    sides = ["left" if column in left_aligned else "right" for column in readable.columns]
    cells = readable.map(table_cells.markdown).rename(columns=table_cells.markdown)
    markdown = cells.to_markdown(index=False, disable_numparse=True, colalign=sides)
    latex = _latex(readable, "".join(side[0] for side in sides))
    for path, text in ((md, f"{markdown}\n\n<!-- {note} -->\n"), (tex, f"% {note}\n{latex}")):
        save_text(text, path)


def save_page(
    readable: pd.DataFrame, html: Path, title: str, digest: str, smaller: Sequence[str] = ()
) -> None:
    """Write the readable form of a table (see :func:`save_table`) as a self-contained HTML page.

    ``smaller`` says in what its set-up is smaller than the paper's.
    """
    header = "".join(f'<th scope="col">{pages.escape(str(name))}</th>' for name in readable.columns)
    rows = "".join(f"<tr>{_html_cells(list(row))}</tr>\n" for row in readable.itertuples(index=False))
    of_text = ' class="text"' if readable.attrs.get("text") else ""
    table = f"<table{of_text}>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    note = f"<p class=note>digest {digest}; nctransfer {package_version()}; pandas {version('pandas')}</p>\n"
    reduced = f"<p>Not as in the paper: {pages.escape('; '.join(smaller))}.</p>\n" if smaller else ""
    save_text(pages.page(title, table + reduced + note), html)


def save_sidecar(
    path: Path,
    name: str,
    kind: str,
    stamp: Stamp,
    inputs: Mapping[str, str],
    files: Iterable[Path],
    seed: int | None = None,
) -> None:
    """Write stamp, versions and seed of a figure or table, and the checksums of its files but the sidecar."""
    facts = {
        "name": name,
        "kind": kind,
        **({} if seed is None else {"seed": seed}),
        **software(),
        "inputs": stamp.by_path(inputs, path.parent),
        "files": {file.name: file_checksum(file) for file in files if file != path},
        "stamp": stamp.to_json(),
    }
    save_text(json.dumps(facts, indent=2) + "\n", path)


def _html_cells(row: list[str | table_cells.Cell]) -> str:
    first, *others = row
    if table_cells.is_heading(first):
        return f'<th class=block colspan="{len(row)}">{pages.escape(str(first))}</th>'
    cells = "".join(f"<td>{table_cells.html(cell)}</td>" for cell in others)
    return f'<th scope="row">{table_cells.html(first)}</th>{cells}'


def _latex(readable: pd.DataFrame, columns: str) -> str:
    """A table as a booktabs ``tabular``, escaped; headings span the columns, below a rule of their own."""
    readable = readable.reset_index(drop=True)
    commands = readable.map(table_cells.latex_command)
    style = readable.map(str).style.hide(axis="index").apply(lambda _: commands, axis=None)
    style = style.format(escape="latex").format_index(escape="latex", axis="columns")
    head, body = style.to_latex(hrules=True, column_format=columns).split("\\midrule\n", 1)
    lines = body.splitlines(keepends=True)
    for row, cell in enumerate(readable.iloc[:, 0]):
        if table_cells.is_heading(cell):
            rule = "\\midrule\n" if row else ""
            name = lines[row].split(" & ")[0]
            lines[row] = f"{rule}\\multicolumn{{{len(columns)}}}{{l}}{{{name}}} \\\\\n"
    return f"{head}\\midrule\n{''.join(lines)}".translate(LATEX)
