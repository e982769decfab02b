"""Self-contained HTML pages: tables and information about a run."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["escape", "page", "table"]

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; color: #1a1a1a;
  background: #fff; margin: 1.5rem 2rem; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.05rem; margin-top: 1.6rem; }
table { border-collapse: collapse; border-top: 2px solid #333; border-bottom: 2px solid #333; }
th, td { padding: .28rem .8rem; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { border-bottom: 1px solid #333; vertical-align: bottom; white-space: normal; }
tbody th { font-weight: normal; }
th.block { font-style: italic; border-top: 1px solid #bbb; padding-top: .5rem; }
tbody tr:first-child th.block { border-top: 0; }
strong { font-weight: 700; } u { text-underline-offset: 2px; }
.text td, .text th { text-align: left; white-space: normal; vertical-align: top; }
.note { color: #666; font-size: .8rem; }
pre { background: #f5f5f5; padding: .8rem; overflow: auto; font-size: .8rem; max-height: 70vh; }
summary { cursor: pointer; margin-top: 1rem; font-weight: 600; }
"""


def page(title: str, body: str, style: str = _STYLE) -> str:
    """A whole page; ``title`` is plain text, ``body`` HTML and ``style`` CSS."""
    heading = escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{heading}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n<h1>{heading}</h1>\n{body}</body>\n</html>\n"
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], classes: str = "") -> str:
    """A plain table of texts, which are escaped here."""
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f'<table class="{classes}">\n<thead><tr>{header}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n'
