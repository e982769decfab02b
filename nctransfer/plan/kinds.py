"""Kinds of figures and tables: what the plan must know of each, a record a kind.

How a kind computes and draws is its module's (``nctransfer.reporting.figures`` and ``tables``), and what
the report tells of it at length stands in ``workflow/report/``. A module without a record works too: its
panels may show whatever a panel can, and it is told every option.
"""

from dataclasses import dataclass
from typing import Literal

PROBES = "probes"  # learning rate and weight decay of the probes
OPTIONS = ("fit", "curve", PROBES)


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
        panel: what a panel is of: ``model``, ``series``, ``datasets``, ``runs``, ``rank`` or ``method``; any
            of them (None).
        options: of :data:`OPTIONS`, what it is told.
        nc1: what it shows of NC1; None where it shows none.
        names_dataset: whether a panel must name the downstream data set.
        abscissas: what may run from left to right, of the kinds that let a panel choose.
        collapse: of panels of runs, whether it reads collapse metrics beside accuracies.
        reads: of panels of a model or of series, what is read: metrics and ``probes`` of a view, ``episodes``
            of few-shot learning, ``snapshots`` of a training, or the list of ``units`` alone.
        has_panels: whether there are any; a kind without shows the configuration itself.
    """

    shows: str
    panel: str | None = None
    options: tuple[str, ...] = ()
    nc1: NC1 | None = None
    names_dataset: bool = True
    abscissas: tuple[str, ...] = ()
    collapse: bool = True
    reads: Literal["probes", "episodes", "snapshots", "units"] = "probes"
    has_panels: bool = True


KINDS = {
    "across_datasets": Kind(
        "One model on several data sets",
        "datasets",
        OPTIONS,
        NC1("accuracy against NC1, a point a data set"),
        names_dataset=False,
        abscissas=("nc1", "train_accuracy"),
    ),
    "candidates_diagram": Kind("Units that can be tuned", "model", names_dataset=False, reads="units"),
    "collapse_by_unit": Kind(
        "NC1 by unit after fine-tuning",
        "runs",
        nc1=NC1("NC1 by unit after fine-tuning", "every unit and penultimate"),
    ),
    "comparison": Kind(
        "Losses and projection heads", "series", (PROBES,), NC1("losses and heads side by side")
    ),
    "few_shot": Kind(
        "Few-shot learning",
        "series",
        nc1=NC1("few-shot accuracy beside NC1", images="training and test, as one"),
        reads="episodes",
    ),
    "layerwise": Kind(
        "NC1 and probe accuracy by unit",
        "model",
        ("fit", PROBES),
        NC1("NC1 and probe accuracy by unit", "every unit"),
    ),
    "layerwise_diagram": Kind(
        "Layer-wise transfer, as a diagram", "model", names_dataset=False, reads="units"
    ),
    "measurements": Kind("What is measured where", has_panels=False),
    "methods": Kind("Fine-tuning methods", "runs", nc1=NC1("methods of fine-tuning side by side")),
    "over_training": Kind(
        "Collapse over training",
        "model",
        nc1=NC1("NC1 over the epochs of a pre-training"),
        names_dataset=False,
        reads="snapshots",
    ),
    "pretraining": Kind("Pre-training losses", "series", (PROBES,), NC1("losses and heads side by side")),
    "ranking": Kind("Models ranked", "rank"),
    "ranking_units": Kind("Units ranked", "rank"),
    "samples": Kind("Accuracy by samples per class", "runs", collapse=False),
    "search": Kind("Learning rate and weight decay", "runs", collapse=False),
    "tasks": Kind("Tasks of a benchmark", "runs", collapse=False),
    "transfer": Kind(
        "Transfer accuracy against NC1", "series", OPTIONS, NC1("transfer accuracy against NC1")
    ),
    "tuned_unit_law": Kind("Layer FT of each unit", "runs", nc1=NC1("accuracy and NC1 by the tuned unit")),
    "tuned_units": Kind(
        "Which units are tuned, and how many", "runs", abscissas=("unit", "count"), collapse=False
    ),
    "tuning_diagram": Kind("What Layer FT and SCL FT train, as a diagram", "method", reads="units"),
}


def facts(kind: str) -> Kind:
    """What the plan knows of a kind; of one without a record, what holds for any."""
    return KINDS.get(kind, Kind(kind.replace("_", " ").capitalize(), options=OPTIONS))
