"""Kinds of figures and tables; ``kind.py`` in the folder of each holds what the plan needs to know."""

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
    """How a kind shows NC1, for the paper's Table 1."""

    what: str  # what is shown, in words
    features: str = "penultimate"  # features that NC1 is measured on
    images: str = "training"  # split that it is measured on


@dataclass(frozen=True)
class Kind:
    """A kind of figure or table."""

    shows: str  # what it shows, in a few words, for REPORT.md and the report
    caption: str  # how to read it, for the report
    # settings class of its panels; None for a kind without panels, which shows the configuration
    panel: type[PanelSettings] | None
    # settings class of its job; ``SETTINGS`` of the module that draws it
    settings: type[PictureSettings[Any]]
    # settings classes of the options of its entry besides the panels
    options: tuple[type[Settings], ...] = ()
    probes: bool = False  # whether it shows linear probes; its job then gets their rates
    collapse: bool = True  # for panels of runs, whether it reads collapse metrics besides accuracies
    nc1: NC1 | None = None  # how it shows NC1; None if it does not


def kind_of(section: str, name: str) -> Kind:
    """The record of a kind of figure or table; ConfigError if there is no such kind or no ``KIND``."""
    kind: Kind = variants.load(SECTIONS[section], name, "kind", ["KIND"]).KIND
    return kind
