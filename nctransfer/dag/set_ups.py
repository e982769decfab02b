"""Whether a figure or table is the one that config.yaml describes, or how it differs."""

from collections.abc import Iterator, Mapping

from nctransfer.config.panels import PanelSettings
from nctransfer.dag.job import Job

# What a picture is called that config.yaml alone describes.
PAPER = "the paper's set-up"


def is_papers(paper: Job | None, own: Job) -> bool:
    """Whether a picture has the digest that config.yaml gives it: the same data, settings and code."""
    return paper is not None and paper.stamp.digest == own.stamp.digest


def set_up(
    study: str | None, panels: tuple[PanelSettings, ...], papers: int, titles: Mapping[str, str]
) -> str:
    """What a picture is of that is not the paper's.

    Args:
        study: name of the study.
        panels: of the picture.
        papers: number of the panels that the paper's picture has, 0 where there is none.
        titles: names of data sets by key.
    """
    datasets = dict.fromkeys(titles.get(name, name) for panel in panels for name in _datasets(panel))
    count = f"{len(panels)} panel{'s' * (len(panels) != 1)}"
    counts = f"{count} of the paper's {papers}" if 0 < papers != len(panels) else count
    origin = f"study {study}" if study else "own settings"
    return f"not {PAPER}: " + "; ".join(filter(None, (f"{origin}, {counts}", ", ".join(datasets))))


def _datasets(panel: PanelSettings) -> Iterator[str]:
    """Keys of the data sets that a panel names."""
    named = (
        getattr(panel, "dataset", None),
        *getattr(panel, "datasets", ()),
        getattr(panel, "nc1_on", None),
    )
    yield from filter(None, named)


def in_words(set_ups: Mapping[str, str]) -> str:
    """A sentence for a reader.

    Args:
        set_ups: by picture.
    """
    own = list(set_ups.values()).count(PAPER)
    if own == len(set_ups):
        return f"All {own} figures and tables are of {PAPER}."
    if own == 0:
        return f"None of the {len(set_ups)} figures and tables is of {PAPER}."
    return f"Of the {len(set_ups)} figures and tables {own} are of {PAPER}."
