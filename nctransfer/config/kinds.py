"""Kinds of figures and tables: what the plan must know of each stands in ``kind.py`` of its folder."""

from dataclasses import dataclass
from typing import Any

from nctransfer import variants
from nctransfer.config.panels import PanelSettings
from nctransfer.reporting import figures, tables
from nctransfer.reporting.settings import PictureSettings
from nctransfer.settings import Settings

SECTIONS = {"figures": figures, "tables": tables}


@dataclass(frozen=True)
class NC1:
    """NC1 as a kind shows it, for the paper's Table 1.

    Attributes:
        what: beside what, in words.
        features: whose NC1 it is.
        images: of which split.
    """

    what: str
    features: str = "penultimate"
    images: str = "training"


@dataclass(frozen=True)
class Kind:
    """A kind of figure or table.

    Attributes:
        shows: what it shows, in a line, for REPORT.md and the report.
        caption: how to read it, for the report.
        panel: what a panel is written as; None for a kind without panels, which shows the configuration.
        settings: what its job is told; ``SETTINGS`` of the module that draws it.
        options: classes of what its entry may say beside panels.
        probes: whether it shows probes, whose rates it is told.
        collapse: of panels of runs, whether it reads collapse metrics beside accuracies.
        nc1: what it shows of NC1; None where it shows none.
    """

    shows: str
    caption: str
    panel: type[PanelSettings] | None
    settings: type[PictureSettings[Any]]
    options: tuple[type[Settings], ...] = ()
    probes: bool = False
    collapse: bool = True
    nc1: NC1 | None = None


def kind_of(section: str, name: str) -> Kind:
    """The record of a kind.

    Args:
        section: ``figures`` or ``tables``.
        name: of the kind.

    Raises:
        ConfigError: there is no such kind.
    """
    found: Kind = variants.load(SECTIONS[section], name, "kind").KIND
    return found
