"""Whether a figure or table has the set-up of config.yaml, or how it differs."""

from collections.abc import Iterator, Mapping

from nctransfer.config.panels import PanelSettings
from nctransfer.dag.job import Job

# Name of the set-up of a figure or table that config.yaml alone describes.
PAPER = "the paper's set-up"


def is_papers(paper: Job | None, own: Job) -> bool:
    """Whether a figure or table has the digest of the one in config.yaml: same data, settings and code."""
    return paper is not None and paper.stamp.digest == own.stamp.digest


def set_up(
    study: str | None, panels: tuple[PanelSettings, ...], papers: int, titles: Mapping[str, str]
) -> str:
    """How the set-up of a figure or table differs from the paper's, of so many panels (0: it has none)."""
    datasets = dict.fromkeys(titles.get(name, name) for panel in panels for name in _datasets(panel))
    count = f"{len(panels)} panel{'s' * (len(panels) != 1)}"
    counts = f"{count} of the paper's {papers}" if 0 < papers != len(panels) else count
    origin = f"study {study}" if study else "own settings"
    return f"not {PAPER}: " + "; ".join(filter(None, (f"{origin}, {counts}", ", ".join(datasets))))


def _datasets(panel: PanelSettings) -> Iterator[str]:
    names = (getattr(panel, "dataset", None), *getattr(panel, "datasets", ()), getattr(panel, "nc1_on", None))
    yield from filter(None, names)


def in_words(set_ups: Mapping[str, str]) -> str:
    """A sentence about the set-ups of all figures and tables."""
    own = list(set_ups.values()).count(PAPER)
    if own == len(set_ups):
        return f"All {own} figures and tables are of {PAPER}."
    if own == 0:
        return f"None of the {len(set_ups)} figures and tables is of {PAPER}."
    return f"Of the {len(set_ups)} figures and tables {own} are of {PAPER}."
