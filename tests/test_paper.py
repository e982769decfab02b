"""Every figure and table of the paper: its graph of jobs, and what those jobs are told.

Snakemake builds the graph of ``config.yaml``. Of each picture the jobs upstream of it are compared
with what the paper says (Li et al., TMLR 05/2024), which is written out here by hand; comments mark
what it leaves open.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from project import Project

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.reporting.settings import EpisodesPanel, RunsPanel, UnitsPanel
from nctransfer.training.settings import AugmentationSettings, StepDecaySettings

# --- what the paper says --------------------------------------------------------------------------


class Data(NamedTuple):
    """Published images, and which of them."""

    source: str
    name: str
    count: int | None = None
    classes: int | None = None
    rest: tuple[tuple[str, Any], ...] = ()
    validation: int | None = None


CIFAR10, CIFAR100 = Data("torchvision", "CIFAR10"), Data("torchvision", "CIFAR100")
AIRCRAFT, DTD = Data("torchvision", "FGVCAircraft"), Data("torchvision", "DTD")
HELD_OUT = [data._replace(validation=5000) for data in (CIFAR10, CIFAR100)]  # for searches; how many: open
PET, FLOWERS = Data("torchvision", "OxfordIIITPet"), Data("torchvision", "Flowers102")
SUN = Data("torchvision", "SUN397")
FOUR = (CIFAR10, AIRCRAFT, DTD, PET)
HUB, WEBDATASET = "huggingface", "clip-benchmark/wds_vtab-"
TASKS = {  # of VTAB-1k, in Table 5's order, with 1,000 training images each
    "Cifar100": CIFAR100._replace(count=1000),
    "Caltech101": Data("torchvision", "Caltech101", 1000),
    "DTD": DTD._replace(count=1000),
    "Flowers102": FLOWERS._replace(count=1000),
    "Pets": PET._replace(count=1000),
    "SVHN": Data("torchvision", "SVHN", 1000),
    "Sun397": SUN._replace(count=1000),
    "EuroSAT": Data("torchvision", "EuroSAT", 1000),
    "Resisc45": Data(HUB, f"{WEBDATASET}resisc45", 1000),
    "Retinopathy": Data(HUB, f"{WEBDATASET}diabetic_retinopathy", 1000),
    "Clevr-Count": Data(HUB, f"{WEBDATASET}clevr_count_all", 1000),
    "Clevr-Dist": Data(HUB, f"{WEBDATASET}clevr_closest_object_distance", 1000),
    "DMLab": Data(HUB, f"{WEBDATASET}dmlab", 1000),
    "dSpr-Loc": Data(HUB, f"{WEBDATASET}dsprites_label_x_position", 1000, rest=(("label_bins", 16),)),
    "dSpr-Ori": Data(HUB, f"{WEBDATASET}dsprites_label_orientation", 1000, rest=(("label_bins", 16),)),
    "sNORB-Azim": Data(HUB, f"{WEBDATASET}smallnorb_label_azimuth", 1000),
    "sNORB-Ele": Data(HUB, f"{WEBDATASET}smallnorb_label_elevation", 1000),
}
TITLES = {data: name for name, data in TASKS.items()} | {
    CIFAR10: "CIFAR-10", CIFAR100: "CIFAR-100", AIRCRAFT: "Aircraft", DTD: "DTD", PET: "Pet",
    FLOWERS: "Flowers102", SUN: "SUN397", HELD_OUT[0]: "CIFAR-10", HELD_OUT[1]: "CIFAR-100",
}  # fmt: skip
MINI = "GATE-engine/mini_imagenet"
CIFAR_FS = Data("torchvision", "CIFAR100", classes=20)  # meta-test; below the classes to meta-train on
CIFAR_FS_SOURCE = Data("torchvision", "CIFAR100", classes=64, rest=(("test_fraction", 0.05),))
MINI_IMAGENET = Data(HUB, MINI, rest=(("test_fraction", 0.5), ("train_split", "test")))
MINI_IMAGENET_SOURCE = Data(HUB, MINI, rest=(("test_fraction", 0.05), ("train_split", "train")))


class Network(NamedTuple):
    """Whose weights a model has, and the side of what it is shown."""

    source: str
    name: str
    weights: str | None
    side: int


class Training(NamedTuple):
    """How a source model is trained."""

    architecture: str
    side: int
    data: Data
    loss: str = "cross_entropy"
    head: int | None = None  # hidden layers of a projection head
    level: int = 5  # of augmentation; beside other losses and heads: open
    radius: float = 0  # of attacks, in 255ths


AUG = {f"Aug. {level}": f"cifar100-resnet50-aug{level}" for level in range(1, 6)}
ADV = {f"Adv. {level}": f"cifar100-resnet50-adv{level}" for level in range(1, 6)}
LEVELS = AUG | ADV
UNTRAINED = {f"Untrained {seed}": f"cifar100-resnet50-untrained{seed}" for seed in (1, 2, 3)}
MLPS = {"MLP-1": 1, "MLP-2": 2, "MLP-3": 3}
LOSSES: dict[str, tuple[str, dict[str, int | None]]] = {
    "ce": ("cross_entropy", {"none": None} | MLPS),
    "mse": ("mean_squared_error", {"none": None} | MLPS),
    "supcon": ("supervised_contrastive", {"linear": 0} | MLPS),
}


def by_head(network: str, short: str) -> dict[str, str]:
    """Models of one loss, by name of the projection head."""
    suffixes = {name: name.lower().replace("-", "") for name in LOSSES[short][1]}
    keys = {name: f"cifar100-{network}-{short}-{suffix}" for name, suffix in suffixes.items()}
    return {name: key.removesuffix("-none") for name, key in keys.items()}


CE50 = by_head("resnet50", "ce") | {"none": AUG["Aug. 5"]}  # which is the same
MSE50, SUPCON50 = by_head("resnet50", "mse"), by_head("resnet50", "supcon")
CE18, MSE18, SUPCON18 = (by_head("resnet18", short) for short in LOSSES)
HEADS = {"small/resnet50": (CE50, MSE50, SUPCON50), "small/resnet18": (CE18, MSE18, SUPCON18)}

FEW_SHOT = {  # epochs, decays (which epochs: open), side, padding of crops (open), data
    "cifar-fs": (90, (45, 60, 75), 32, 4, CIFAR_FS_SOURCE),
    "mini-imagenet": (100, (60, 80), 84, 8, MINI_IMAGENET_SOURCE),
}
CONVNETS = {"ConvNet4": "convnet4", "ResNet12": "resnet12", "SEResNet12": "seresnet12"}

TRAININGS = {
    **{
        models[name]: Training(architecture, 32, CIFAR100, loss, layers)
        for architecture, losses in HEADS.items()
        for models, (loss, heads) in zip(losses, LOSSES.values(), strict=True)
        for name, layers in heads.items()
    },
    **{
        key: Training("small/resnet50", 32, CIFAR100, level=level)
        for level, key in enumerate(AUG.values(), 1)
    },
    **{  # augmentation under attack: open
        key: Training("small/resnet50", 32, CIFAR100, level=3, radius=radius)
        for key, radius in zip(ADV.values(), (1, 2, 3, 5, 8), strict=True)
    },
    **{key: Training("small/resnet50", 32, CIFAR100, level=1) for key in UNTRAINED.values()},
    **{
        f"{key}-{network}": Training(f"few_shot/{network}", side, data, level=4)
        for key, (_, _, side, _, data) in FEW_SHOT.items()
        for network in CONVNETS.values()
    },
}
IMAGENET = {
    "ResNet 18": "resnet18", "ResNet 50": "resnet50", "DenseNet 121": "densenet121", "Inception v1": "googlenet",
    "DenseNet 169": "densenet169", "DenseNet 201": "densenet201", "MobileNet v2": "mobilenet_v2",
}  # fmt: skip
NETWORKS = {
    **{  # which of torchvision's weights: open
        name: Network("torchvision", name, "IMAGENET1K_V1", 224) for name in (*IMAGENET.values(), "resnet34")
    },
    "resnet34-small": Network("torchvision", "resnet34", "IMAGENET1K_V1", 32),  # size: open
    "vit-b32-384": Network("timm", "vit_base_patch32_384.augreg_in21k_ft_in1k", None, 384),  # name: open
    "clip-vit-b32": Network("open_clip", "ViT-B-32-quickgelu", "openai", 224),
    **{key: Network("pretraining", made.architecture, None, made.side) for key, made in TRAININGS.items()},
}
# what CIFAR-100's networks are shown photographs at: open
PHOTOGRAPHS = dict.fromkeys((AIRCRAFT, DTD, PET), 128)
UNITS = {
    "resnet18": 8, "resnet34": 16, "resnet34-small": 16, "resnet50": 16, "vit-b32-384": 12, "clip-vit-b32": 12,
}  # fmt: skip


class Run(NamedTuple):
    """A fine-tuning run."""

    model: str
    data: Data
    method: str
    units: tuple[int, ...]
    per_class: int | None
    learning_rate: float | None
    weight_decay: float | None
    seed: int


CHOSEN = {  # Table 4
    "resnet": {
        "lp": (5e-2, 1e-4), "mlp": (5e-2, 5e-4), "layer_ft": (5e-2, 1e-4), "scl_ft": (5e-2, 1e-4),
        "full_ft": (5e-2, 5e-4),
    },
    "vit": {
        "lp": (1e-2, 0), "mlp": (1e-2, 0), "layer_ft": (1e-2, 0), "scl_ft": (1e-2, 0), "full_ft": (1e-3, 0),
        "layer_lp": (1e-2, 0), "layer_lora": (1e-2, 0),  # open, as layer_ft
    },
}  # fmt: skip
CHOSEN["clip"] = CHOSEN["vit"]  # open; table4-clip searches
TUNES_UNITS = ("layer_ft", "scl_ft", "layer_lp", "layer_lora")


def runs(
    model: str,
    data: Data,
    methods: str,
    units: tuple[int | tuple[int, ...], ...] = (),
    per_class: tuple[int | None, ...] = (None,),
    seeds: int = 1,
    grid: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
) -> set[Run]:
    """Every combination; a method that tunes no units has none."""
    combinations = set()
    for method in methods.split():
        rates = product(*grid) if grid else [CHOSEN[re.split(r"[\d-]", model)[0]][method]]
        tuned = [entry if isinstance(entry, tuple) else (entry,) for entry in units]
        tuned = tuned if method in TUNES_UNITS else [()]
        for unit, size, (rate, decay), seed in product(tuned, per_class, rates, range(seeds)):
            combinations.add(Run(model, data, method, unit, size, rate, decay, seed))
    return combinations


@dataclass(frozen=True)
class Points:
    """Models' transfer accuracy against NC1, by their names."""

    models: dict[str, str]
    accuracy_on: Data
    nc1_on: Data


@dataclass(frozen=True)
class Sets:
    """A model's accuracy on several data sets, against NC1 on each or against training accuracy."""

    model: str
    data: tuple[Data, ...]
    abscissa: str


@dataclass(frozen=True)
class ByUnit:
    """NC1 and probes of every unit."""

    model: str
    data: Data
    pooling: str


@dataclass(frozen=True)
class Tuned:
    """Fine-tuning runs; ``pooling`` where NC1 of their units is shown, ``nc1`` where it is shown at all."""

    runs: set[Run]
    nc1: bool = False
    pooling: str | None = None
    abscissa: str | None = None


@dataclass(frozen=True)
class Episodes:
    """Few-shot episodes of models, by their names."""

    models: dict[str, str]
    data: Data


Panel = Points | Sets | ByUnit | Tuned | Episodes


@dataclass(frozen=True)
class Picture:
    """What a figure or table shows."""

    kind: str
    panels: list[Any]
    curve: str | None = None


TWELVE = {
    f"{loss} {head}": key
    for loss, models in (("CE", CE18), ("MSE", MSE18), ("SupCon", SUPCON18))
    for head, key in models.items()
}
APPENDIX_B = {
    "MSE (w/o proj.)": MSE18["none"],
    "Cross-entropy (w/o proj.)": CE18["none"],
    "SupCon (w/ linear proj.)": SUPCON18["linear"],
    "SupCon (w/ mlp proj.)": SUPCON18["MLP-1"],
}
FOUR_METHODS = "lp layer_ft scl_ft full_ft"
FIVE_METHODS = "lp mlp layer_ft scl_ft full_ft"
SIZES = (3, 10, 32, 100, 316), (7, 17, 38, 87, 200)
LAYERS = tuple(range(1, 13))
LAST = tuple(tuple(range(13 - count, 13)) for count in range(2, 12))  # from the last downwards: open
GRID = {"resnet": ((1e-1, 5e-2), (1e-4, 5e-4)), "vit": ((1e-2, 1e-3), (1e-4, 0))}


def after(model: str, sets: tuple[Data, ...], units: tuple[int, ...], pooling: str) -> list[Tuned]:
    """Figures 7, 16 and 17: a panel for every data set and tuned unit."""
    return [
        Tuned(runs(model, data, FOUR_METHODS, (unit,)), nc1=True, pooling=pooling)
        for data in sets
        for unit in units
    ]


PAPER = {
    "fig1": Picture("transfer", [Points(LEVELS, data, CIFAR10) for data in FOUR], "none"),
    "fig2": Picture("transfer", [Points(IMAGENET, data, data) for data in FOUR], "line"),
    "fig3": Picture(
        "layerwise", [ByUnit("resnet34", CIFAR10, "avg"), ByUnit("vit-b32-384", CIFAR10, "token_mean")]
    ),
    "fig3-small": Picture("layerwise", [ByUnit("resnet34-small", CIFAR10, "avg")]),
    "fig4": Picture(
        "across_datasets",
        [
            Sets("clip-vit-b32", (CIFAR10, CIFAR100, DTD, AIRCRAFT, FLOWERS, SUN), abscissa)
            for abscissa in ("nc1", "train_accuracy")
        ],
        "line",
    ),
    "fig7": Picture("collapse_by_unit", after("resnet18", (AIRCRAFT,), (1, 3, 5, 7), "avg")),
    "fig8": Picture(
        "samples",
        [
            Tuned(runs("resnet18", CIFAR10, FOUR_METHODS, (5,), SIZES[0], seeds=3)),
            Tuned(
                runs("clip-vit-b32", CIFAR100, "layer_ft scl_ft full_ft", (8,), SIZES[1], seeds=3)
                | {Run("clip-vit-b32", CIFAR100, "zero_shot", (), None, None, None, 0)}
            ),
        ],
    ),
    "fig9": Picture(
        "tuned_units",
        [
            Tuned(runs("vit-b32-384", CIFAR100, "layer_ft layer_lp", LAYERS), abscissa="unit"),
            Tuned(
                runs("vit-b32-384", CIFAR100, "lp full_ft scl_ft", (8,))
                | runs("vit-b32-384", CIFAR100, "layer_ft", (8, *LAST)),
                abscissa="count",
            ),
        ],
    ),
    "fig10": Picture("transfer", [Points(LEVELS, data, CIFAR100) for data in FOUR], "parabola"),
    "fig11": Picture(
        "transfer", [Points(models, CIFAR10, CIFAR100) for models in (CE50, MSE50, SUPCON50)], "path"
    ),
    "untrained": Picture("transfer", [Points(LEVELS | UNTRAINED, data, CIFAR100) for data in FOUR], "none"),
    "fig12": Picture("comparison", [Points(TWELVE, CIFAR10, CIFAR100)]),
    "fig14": Picture(
        "tuned_unit_law",
        [
            Tuned(runs("vit-b32-384", data, "layer_ft", LAYERS), nc1=True)
            for data in (AIRCRAFT, DTD, PET, CIFAR100)
        ],
    ),
    "fig15": Picture("transfer", [Points(LEVELS, data, data) for data in FOUR], "none"),
    "fig16": Picture("collapse_by_unit", after("resnet18", (DTD, PET), (1, 3, 5, 7), "avg")),
    "fig17": Picture("collapse_by_unit", after("vit-b32-384", (AIRCRAFT, DTD, PET), (2, 5, 8, 11), "cls")),
    "table2": Picture(
        "few_shot",
        [
            Episodes({label: f"{name}-{net}" for label, net in CONVNETS.items()}, data)
            for name, data in (("cifar-fs", CIFAR_FS), ("mini-imagenet", MINI_IMAGENET))
        ],
    ),
    "table3": Picture(
        "methods",
        [
            Tuned(runs(model, data, FIVE_METHODS, (8,), seeds=3), nc1=True)
            for model, sets in (
                ("resnet50", (CIFAR10, CIFAR100, AIRCRAFT, DTD, PET)),
                ("vit-b32-384", (AIRCRAFT, DTD, PET)),
            )
            for data in sets
        ],
    ),
    "table4": Picture(
        "search",
        [
            Tuned(runs("resnet50", HELD_OUT[0], FIVE_METHODS, (8,), grid=GRID["resnet"])),
            Tuned(runs("vit-b32-384", HELD_OUT[0], FIVE_METHODS, (8,), grid=GRID["vit"])),
        ],
    ),
    "table4-clip": Picture(  # the search of Figure 8(b)
        "search",
        [Tuned(runs("clip-vit-b32", HELD_OUT[1], "layer_ft scl_ft full_ft", (8,), grid=GRID["vit"]))],
    ),
    "table5": Picture(  # backbone, layer and schedule: open
        "tasks",
        [Tuned(runs("vit-b32-384", data, "layer_ft layer_lora", (8,), seeds=3)) for data in TASKS.values()],
    ),
    "tableB": Picture("pretraining", [Points(APPENDIX_B, CIFAR10, CIFAR100)]),
}
DIAGRAMS = ("fig5", "fig6", "fig13")
SUMMARY = "table1"  # where each section measures NC1
EVERY = [
    *(f"fig{number}" for number in range(1, 18)),
    "fig3-small",
    "untrained",
    *(f"table{number}" for number in range(1, 6)),
    "tableB",
    "table4-clip",
]


def shown(panel: Panel) -> Iterator[tuple[str, str | Run, Data]]:
    """Rule, model or run, and data of every table that a panel shows."""
    match panel:
        case Points():
            for model in panel.models.values():
                yield "metrics", model, panel.nc1_on
                yield "probes", model, panel.accuracy_on
        case Sets():
            for rule, data in product(("metrics", "probes"), panel.data):
                yield rule, panel.model, data
        case ByUnit():
            for rule in ("metrics", "probes"):
                yield rule, panel.model, panel.data
        case Tuned():
            for run in panel.runs:
                yield "finetune", run, run.data
                if panel.nc1:
                    yield "metrics", run, run.data
        case Episodes():
            for model in panel.models.values():
                yield "few_shot", model, panel.data


# --- what is planned ------------------------------------------------------------------------------

# The keys of each rule's jobs, in the plan's order.
KEYS = {
    "images": ("images",), "pretrain": ("model",), "model": ("model",), "finetune": ("run",),
    "features": ("model", "view"), "metrics": ("model", "view"), "probes": ("model", "view"),
    "few_shot": ("model", "view"), "head_metrics": ("model", "view"), "scores": ("model", "view"),
    "ranking": ("ranked",), "figure": ("figure",), "table": ("table",),
}  # fmt: skip


MEASURED = ("collapse_by_unit", "tuned_unit_law", "methods")  # kinds that show NC1 of runs


class Node(NamedTuple):
    """A job of Snakemake's graph."""

    rule: str
    keys: tuple[str, ...] = ()


def read_graph(dot: str) -> dict[Node, set[Node]]:
    """The jobs of ``snakemake --dag``, each with those that it waits for.

    A label leaves out a wildcard that a job shares with one that it waits for.
    """
    labels = dict(re.findall(r'^\t(\d+)\[label = "([^"]*)"', dot, re.MULTILINE))
    waits: dict[str, list[str]] = {number: [] for number in labels}
    for before, job in re.findall(r"^\t(\d+) -> (\d+)", dot, re.MULTILINE):
        waits[job].append(before)
    nodes: dict[str, Node] = {}

    def node(number: str) -> Node:
        if number not in nodes:
            rule, *lines = labels[number].split("\\n")
            wildcards = dict(line.split(": ", 1) for line in lines)
            names = KEYS.get(rule, ())
            for name in set(names) - set(wildcards):
                before = [node(other) for other in waits[number]]
                (wildcards[name],) = {
                    keys[KEYS[other].index(name)] for other, keys in before if name in KEYS.get(other, ())
                }
            nodes[number] = Node(rule, tuple(wildcards[name] for name in names))
        return nodes[number]

    return {node(number): {node(other) for other in waits[number]} for number in labels}


class Workflow:
    """Snakemake's graph of a configuration, and what its jobs are told."""

    def __init__(self, folder: Path) -> None:
        project = Project.fresh(folder)
        targets = ("all", "figures", "tables", "rank", *map(path_of, EVERY))
        built = project.run(*targets, options=("--dag",), overlay=None)
        assert built.returncode == 0, built.stderr
        self.graph = read_graph(built.stdout)
        self.plan = Plan(load(folder / "config.yaml"), folder)

    def upstream(self, picture: str) -> set[Node]:
        """All jobs that a picture needs, itself among them."""
        jobs, waiting = set(), [target(picture)]
        while waiting:
            job = waiting.pop()
            if job not in jobs:
                if job not in self.graph:
                    pytest.fail(f"{picture} is not part of `all`")
                jobs.add(job)
                waiting.extend(self.graph[job])
        return jobs

    def of_rule(self, picture: str, rule: str) -> list[Node]:
        """Those of one rule."""
        return sorted(job for job in self.upstream(picture) if job.rule == rule)

    def settings(self, job: Node) -> Any:
        """What a job is told."""
        return getattr(self.plan, job.rule)(*job.keys).settings

    def before(self, job: Node, rule: str) -> Node:
        """The one job of a rule that a job waits for."""
        (earlier,) = (other for other in self.graph[job] if other.rule == rule)
        return earlier

    def data(self, job: Node) -> Data:
        """The images that a job sees, or those whose features it sees."""
        if job.rule in ("metrics", "probes", "few_shot"):
            job = self.before(job, "features")
        images = self.settings(self.before(job, "images"))
        assert images.per_class is images.test_per_class is None
        rest = {name: value for name, value in sorted(images.options.items()) if name != "name"}
        classes = images.classes and len(images.classes)
        return Data(
            images.source,
            images.options["name"],
            images.count,
            classes,
            tuple(rest.items()),
            images.validation,
        )

    def side(self, job: Node) -> int:
        """The side of the squares that a job's network is shown."""
        geometry = self.settings(job).geometry
        side, other = geometry.resize  # directly: no crop
        assert (geometry.crop, other) == (None, side)
        return side

    def subject(self, job: Node) -> str | Run:
        """The model, or the fine-tuned one's run, that a job is about."""
        if job.rule in ("metrics", "probes", "few_shot"):
            job = self.before(job, "features")
        tuned = [other for other in self.graph[job] if other.rule == "finetune"]
        if job.rule != "finetune" and not tuned:
            return self.before(job, "model").keys[0]
        run = tuned[0] if tuned else job
        settings, model = self.settings(run), self.before(run, "model").keys[0]
        rates = [getattr(settings.training, name, None) for name in ("learning_rate", "weight_decay")]
        method, per_class, seed = settings.method, settings.per_class, settings.names.seed
        return Run(model, self.data(run), method.name, method.units, per_class, *rates, seed)

    def saw(self, job: Node) -> tuple[str, str | Run, Data]:
        """Rule, model or run, and data."""
        return job.rule, self.subject(job), self.data(job)

    def panel(self, kind: str, panel: Any) -> Panel:
        """What a picture's job is told of a panel."""
        if isinstance(panel, RunsPanel):
            seen = {self.subject(Node("finetune", (shown.run,))) for shown in panel.runs}
            assert {TITLES[run.data] for run in seen} == {panel.dataset}
            pooling = panel.pooling if kind == "collapse_by_unit" else None
            return Tuned(seen, kind in MEASURED, pooling, panel.abscissa)
        if isinstance(panel, UnitsPanel):
            return ByUnit(panel.model, self.data(Node("metrics", (panel.model, panel.view))), panel.pooling)
        points = panel.points
        models = {f"{point.series} {point.label}".strip(): point.model for point in points}
        if isinstance(panel, EpisodesPanel):
            (data,) = {self.data(Node("few_shot", (point.model, point.view))) for point in points}
            return Episodes(models, data)
        assert panel.split == "train"  # NC1 is of training data
        nc1 = [self.data(Node("metrics", (point.model, point.nc1_view))) for point in points]
        accuracy = [self.data(Node("probes", (point.model, point.view))) for point in points]
        if kind == "across_datasets":
            assert nc1 == accuracy
            assert list(models) == [TITLES[data] for data in accuracy]
            (model,) = set(models.values())
            return Sets(model, tuple(accuracy), panel.abscissa)
        (accuracy_on,), (nc1_on,) = set(accuracy), set(nc1)
        assert (panel.dataset, panel.nc1_dataset) == (TITLES[accuracy_on], TITLES[nc1_on])
        return Points(models, accuracy_on, nc1_on)


def target(picture: str) -> Node:
    """The job that makes a figure or table."""
    return Node("table" if picture.startswith("table") else "figure", (picture,))


def path_of(picture: str) -> str:
    """The target of all its forms."""
    return f"{target(picture).rule}s/{picture}"


@pytest.fixture(scope="module")
def workflow(tmp_path_factory) -> Workflow:
    return Workflow(tmp_path_factory.mktemp("paper") / "p")


# --- targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", EVERY)
def test_a_picture_has_a_target_of_its_own_in_its_group_and_in_all(workflow, picture):
    job = target(picture)
    assert job in workflow.graph[Node(f"{job.rule}s")]
    assert job in workflow.graph[Node("all")]
    assert workflow.graph[Node(path_of(picture))] == {job}  # a name without a suffix


def test_all_holds_figures_tables_and_rankings(workflow):
    graph = workflow.graph
    rank = graph[Node("rank")]
    assert graph[Node("all")] >= graph[Node("figures")] | graph[Node("tables")] | rank
    ranked = {before.keys for job in rank for before in graph[job] if before.rule == "ranking"}
    assert ranked == {("cifar10",), ("aircraft",), ("dtd",), ("pet",)}
    assert not rank & {target(picture) for picture in EVERY}


# --- panels and jobs ------------------------------------------------------------------------------


@pytest.mark.parametrize("picture", PAPER)
def test_the_panels_show_what_the_paper_shows(workflow, picture):
    expected, settings = PAPER[picture], workflow.settings(target(picture))
    assert settings.kind == expected.kind
    assert (settings.curve if "curve" in settings.model_fields_set else None) == expected.curve
    assert [workflow.panel(settings.kind, panel) for panel in settings.panels] == expected.panels


@pytest.mark.parametrize("picture", PAPER)
def test_the_jobs_are_those_that_the_picture_needs_and_no_others(workflow, picture):
    wanted = {entry for panel in PAPER[picture].panels for entry in shown(panel)}
    jobs = workflow.upstream(picture) - {target(picture)}
    for rule in ("finetune", "metrics", "probes", "few_shot"):
        seen = [workflow.saw(job) for job in jobs if job.rule == rule]
        assert len(seen) == len(set(seen))  # each once
        assert set(seen) == {entry for entry in wanted if entry[0] == rule}
    measured = {(subject, data) for rule, subject, data in wanted if rule != "finetune"}
    features = [workflow.saw(job)[1:] for job in jobs if job.rule == "features"]
    assert len(features) == len(measured)
    assert set(features) == measured
    subjects = {subject for _, subject, _ in wanted}
    models = {subject.model if isinstance(subject, Run) else subject for subject in subjects}
    assert {job.keys[0] for job in jobs if job.rule == "model"} == models
    assert {job.keys[0] for job in jobs if job.rule == "pretrain"} == models & set(TRAININGS)
    sources = {TRAININGS[model].data for model in models & set(TRAININGS)}
    images = {workflow.data(job) for job in jobs if job.rule in ("finetune", "features", "pretrain")}
    assert images == {data for _, _, data in wanted} | sources
    others = {"images", "model", "pretrain", "features"}
    assert {job.rule for job in jobs} <= {rule for rule, _, _ in wanted} | others


@pytest.mark.parametrize("picture", DIAGRAMS)
def test_a_diagram_is_drawn_from_the_units_of_real_models_alone(workflow, picture):
    jobs = workflow.upstream(picture) - {target(picture)}
    assert jobs
    assert {job.rule for job in jobs} == {"model"}
    assert {job.keys[0] for job in jobs} <= set(NETWORKS) - set(TRAININGS)
    if picture == "fig13":
        assert {job.keys[0] for job in jobs} == {"resnet18"}


def test_the_summary_of_where_nc1_is_measured_needs_no_job(workflow):
    assert workflow.upstream(SUMMARY) == {target(SUMMARY)}


# --- what the jobs are told -----------------------------------------------------------------------


def having(*kinds: type) -> list[str]:
    """Pictures with panels of these kinds."""
    return [key for key, picture in PAPER.items() if isinstance(picture.panels[0], kinds)]


@pytest.mark.parametrize("picture", PAPER)
def test_networks_have_the_papers_weights_units_and_resolution(workflow, picture):
    for job in workflow.of_rule(picture, "model"):
        settings, expected = workflow.settings(job), NETWORKS[job.keys[0]]
        name = settings.name or settings.architecture
        assert settings.size == (expected.side, expected.side)
        assert Network(settings.source, name, settings.weights, settings.size[0]) == expected
        if job.keys[0] in UNITS:
            assert workflow.plan.facts(job.keys[0]).known.units == UNITS[job.keys[0]]
    for rule in ("pretrain", "features", "finetune"):
        for job in workflow.of_rule(picture, rule):
            subject = job.keys[0] if rule == "pretrain" else workflow.subject(job)
            model = subject.model if isinstance(subject, Run) else subject
            side = PHOTOGRAPHS.get(workflow.data(job)) if model in TRAININGS else None
            assert workflow.side(job) == (side or NETWORKS[model].side), job


PRETRAINED = [picture for picture in having(Points) if picture != "fig2"]


@pytest.mark.parametrize("picture", [*PRETRAINED, *having(Episodes)])
def test_source_models_are_trained_as_the_paper_trains_them(workflow, picture):
    jobs = workflow.of_rule(picture, "pretrain")
    assert jobs
    for job in jobs:
        settings = workflow.settings(job)
        training = settings.training
        attack, projection, loss = training.adversary, training.projection, training.loss
        made = Training(
            settings.architecture,
            workflow.side(job),
            workflow.data(job),
            loss.name,
            projection and projection.layers,
            training.augmentation.level,
            round(255 * attack.radius, 9) if attack else 0,
        )
        assert made == TRAININGS[job.keys[0]]
        options = {
            "cross_entropy": {"label_smoothing": 0},
            "mean_squared_error": {"mse_target": 1, "mse_weight": 1},  # one-hot targets
            "supervised_contrastive": {"temperature": 0.1},
        }
        assert loss.model_dump(exclude={"name"}) == options[loss.name]
        if loss.name == "supervised_contrastive":
            assert projection.output == 128
        if attack:  # open
            assert (attack.steps, attack.step_size) == (7, pytest.approx(2.5 * attack.radius / 7))


@pytest.mark.parametrize("picture", PRETRAINED)
def test_source_models_have_the_papers_schedule(workflow, picture):
    for job in workflow.of_rule(picture, "pretrain"):
        training = workflow.settings(job).training
        named = ("epochs", "learning_rate", "learning_rate_min", "warmup_epochs", "momentum", "weight_decay")
        epochs = 0 if job.keys[0] in UNTRAINED.values() else 200
        assert [getattr(training, name) for name in named] == [epochs, 1e-1, 1e-4, 0, 0.9, 1e-4]
        assert training.batch_size == 128  # open
        assert training.decay is None  # a cosine


def test_few_shot_models_have_the_papers_schedule(workflow):
    for job in workflow.of_rule("table2", "pretrain"):
        training = workflow.settings(job).training
        epochs, decays, _, padding, _ = FEW_SHOT[job.keys[0].rsplit("-", 1)[0]]
        named = ("epochs", "learning_rate", "momentum", "weight_decay", "batch_size")
        assert [getattr(training, name) for name in named] == [epochs, 5e-2, 0.9, 5e-4, 64]
        assert training.decay == StepDecaySettings(epochs=decays, factor=0.1)
        augmentation = training.augmentation  # strengths: open
        assert (augmentation.crop_padding, augmentation.jitter.hue) == (padding, 0)


def test_levels_of_augmentation_add_up(workflow):
    """Standardise, then crop, flip, colour jitter, grayscale: what each level is told of."""
    levels = [workflow.settings(Node("pretrain", (key,))).training.augmentation for key in AUG.values()]
    assert all(level.crop_scale is None for level in levels)
    assert [sorted(level.model_fields_set - {"level", "crop_scale"}) for level in levels] == [
        [],
        ["crop_padding"],
        ["crop_padding"],  # a flip has no strength
        ["crop_padding", "jitter"],
        ["crop_padding", "grayscale", "jitter"],
    ]


@pytest.mark.parametrize("picture", having(Points, Sets, ByUnit))
def test_probes_are_trained_as_the_paper_trains_them(workflow, picture):
    named = ("solver", "epochs", "momentum", "learning_rates", "learning_rate_min", "weight_decays")
    for job in workflow.of_rule(picture, "probes"):
        probes = workflow.settings(job)
        assert [getattr(probes, name) for name in named] == ["sgd", 200, 0.9, (1e-1,), 1e-4, (1e-4,)]
    drawn = workflow.settings(target(picture))
    assert (drawn.learning_rate, drawn.weight_decay) == (1e-1, 1e-4)


@pytest.mark.parametrize("picture", having(Tuned))
def test_fine_tuning_is_as_the_paper_says(workflow, picture):
    named = ("epochs", "momentum", "learning_rate_min", "warmup_epochs", "adversary")
    for job in workflow.of_rule(picture, "finetune"):
        settings = workflow.settings(job)
        training, method = settings.training, settings.method
        if method.name == "zero_shot":
            assert (training, settings.statistics) == (None, "frozen")
            continue
        assert settings.statistics == "update"  # batch normalisation's, of every method
        assert [getattr(training, name) for name in named] == [200, 0.9, 1e-4, 0, None]
        assert training.augmentation == AugmentationSettings(level=1)  # none: open
        assert (training.batch_size, settings.loss.label_smoothing) == (128, 0)  # open
        options = method.model_dump(exclude={"name", "units", "alpha"})
        assert options == {"mlp": {"hidden": 1024}, "layer_lora": {"rank": 96}}.get(method.name, {})


@pytest.mark.parametrize("picture", having(Tuned))
def test_repetitions_differ_and_methods_of_one_share_their_numbers(workflow, picture):
    numbers: dict[tuple, set] = {}
    for job in workflow.of_rule(picture, "finetune"):
        settings, run = workflow.settings(job), workflow.subject(job)
        numbers.setdefault((run.model, run.data, run.seed), set()).add((settings.seed, settings.subset_seed))
    assert all(len(pairs) == 1 for pairs in numbers.values())
    seeds, subsets = zip(*(next(iter(pairs)) for pairs in numbers.values()), strict=True)
    assert len(set(seeds)) == len(numbers)
    assert len(set(subsets)) == len({(data, seed) for _, data, seed in numbers})


@pytest.mark.parametrize("picture", ["fig3", "fig7", "fig16", "fig17"])
def test_features_of_every_unit_are_kept_where_they_are_shown(workflow, picture):
    poolings = {panel.pooling for panel in PAPER[picture].panels}
    for job in workflow.of_rule(picture, "features"):
        features = workflow.settings(job)
        assert features.units == "all"
        assert set(features.poolings) & poolings


@pytest.mark.parametrize("picture", having(Tuned))
def test_nc1_after_fine_tuning_is_of_the_tuned_weights(workflow, picture):
    for job in workflow.of_rule(picture, "features"):
        assert workflow.settings(job).loader == "tuned"


def test_few_shot_episodes_are_the_papers(workflow):
    jobs = workflow.of_rule("table2", "few_shot")
    for job in jobs:
        episodes = workflow.settings(job)
        assert (episodes.ways, episodes.shots) == (5, (1, 5))
        assert (episodes.queries, episodes.episodes, episodes.normalise) == (15, 600, True)  # open
    assert len({workflow.settings(job).seed for job in jobs}) == 2  # networks meet the same episodes
    source, other = (
        workflow.settings(Node("images", (f"cifar-fs-{split}",))).classes for split in ("train", "test")
    )
    assert not set(source) & set(other)
