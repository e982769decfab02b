"""Figures and tables that are drawn from tables made up: what is written of them, and what their legends say."""

from functools import cache

from project import ROOT

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.reporting.output import save_figure, save_numbers, save_table


@cache
def paper() -> Plan:
    """The plan of config.yaml, the same for all tests of a process."""
    return Plan(load(ROOT / "config.yaml"), ROOT)


def drawn(kind, settings, tables):
    """The numbers of a figure, and its picture."""
    numbers = kind.tabulate(settings, tables)
    return numbers, kind.draw(numbers, settings)


def written_twice_alike(kind, make, folder):
    """Write a figure or table twice; its numbers, and the paths without a suffix."""
    for name in "ab":
        settings, tables = make()
        numbers = kind.tabulate(settings, tables)
        path = {suffix: folder / f"{name}.{suffix}" for suffix in ("csv", "pdf", "png", "md", "tex")}
        if hasattr(kind, "draw"):
            save_figure(kind.draw(numbers, settings), path["pdf"], path["png"], 60, "abc123")
            save_numbers(numbers, path["csv"])
        else:
            readable = kind.present(numbers, settings)
            save_table(numbers, readable, path["csv"], path["md"], path["tex"], "abc123")
    suffixes = sorted(file.suffix for file in folder.glob("a.*"))
    assert len(suffixes) == 3
    for suffix in suffixes:
        assert (folder / f"a{suffix}").read_bytes() == (folder / f"b{suffix}").read_bytes(), suffix
    return numbers, folder / "a"


def words(figure):
    """Names in the one legend of a figure."""
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts() if text.get_text()]


def unsigned(text):
    """A text with hyphens for minus signs."""
    return text.get_text().replace("\N{MINUS SIGN}", "-")
