"""Whether a figure or table is the one that config.yaml describes, or how it differs."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nctransfer.plan.grid import Plan

# What a picture is called that config.yaml alone describes.
PAPER = "the paper's set-up"


def departures(plan: "Plan", paper: "Plan", pictures: Mapping[str, str]) -> dict[str, str]:
    """Of every picture whether it is the paper's, or what it is of instead.

    It is the paper's where it has the same digest: the same data, settings and code.

    Args:
        plan: the plan.
        paper: the plan of config.yaml alone, but for what makes no other study: where outputs go and jobs
            compute, and how pictures look, which are part of digests too.
        pictures: section (``figures`` or ``tables``) by key.
    """
    return {key: _departure(plan, paper, section, key) for key, section in pictures.items()}


def _departure(plan: "Plan", paper: "Plan", section: str, key: str) -> str:
    if (
        key in paper.config[section]
        and paper.picture(section, key).stamp.digest == plan.picture(section, key).stamp.digest
    ):
        return PAPER
    study = plan.config["study"]
    panels, theirs = (there.config[section].get(key, {}).get("panels") or [] for there in (plan, paper))
    titles = plan.config["style"]["titles"]
    sets = dict.fromkeys(titles.get(name, name) for panel in panels for name in _data_sets(panel))
    count = f"{len(panels)} panel{'s' * (len(panels) != 1)}"
    counts = f"{count} of the paper's {len(theirs)}" if 0 < len(theirs) != len(panels) else count
    origin = f"study {study}" if study else "own settings"
    return f"not {PAPER}: " + "; ".join(filter(None, (f"{origin}, {counts}", ", ".join(sets))))


def _data_sets(panel: Mapping[str, Any]) -> Iterator[str]:
    """Keys of the data sets that a panel names."""
    yield from (key for key in (panel["dataset"], *(panel["datasets"] or ()), panel["nc1_on"]) if key)


def in_words(found: Mapping[str, str]) -> str:
    """A sentence for a reader.

    Args:
        found: what :func:`departures` gave.
    """
    own = list(found.values()).count(PAPER)
    if own == len(found):
        return f"All {own} figures and tables are of {PAPER}."
    if own == 0:
        return f"None of the {len(found)} figures and tables is of {PAPER}."
    return f"Of the {len(found)} figures and tables {own} are of {PAPER}."
