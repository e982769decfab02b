"""Diagrams of units, and the table of what is measured where: drawn from real networks, without training."""

from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from networks import meta_backbone
from pictures import drawn, paper, written_twice_alike
from project import Project

from nctransfer import variants
from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.errors import DegenerateInputError
from nctransfer.finetuning import methods
from nctransfer.finetuning.method import method_facts
from nctransfer.finetuning.tuning import Task, count_parameters
from nctransfer.models.architecture import Architecture
from nctransfer.models.backbone import measure
from nctransfer.models.model_store import UNIT_COLUMNS, describe, unit_rows
from nctransfer.models.parameters import locate_parameters
from nctransfer.reporting.figures.diagram import figure as diagram
from nctransfer.reporting.figures.diagram.chain import inches
from nctransfer.reporting.figures.diagram.layouts import LAYOUTS, caption_of
from nctransfer.reporting.style import SPLITS
from nctransfer.reporting.tables.nc1_measurements import table as measurements

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = {
    "resnet18": ("torchvision/resnet18", "resnet", 224),
    "resnet50": ("torchvision/resnet50", "resnet", 224),
    "vit": ("timm/vit_base_patch32_384", "vit", 384),
    "densenet121": ("torchvision/densenet121", "densenet", 224),
    "mobilenet": ("torchvision/mobilenet_v2", "mobilenet", 224),
    "googlenet": ("torchvision/googlenet", "googlenet", 224),
    "clip": ("open_clip/ViT-B-32-quickgelu", "clip", 224),
    "vgg": ("torchvision/vgg11", "stages", 224),
    "deep": ("timm/vit_giant_patch14_clip_224", "vit", 224),
}
STYLE = {"width": 6.5, "font_size": 8, "dpi": 60}


@cache
def built(name: str):
    """A network without memory, its layout and size."""
    path, unit_layout, side = NETWORKS[name]
    with torch.device("meta"):
        network = Architecture.parse(path).build().eval()
    return network, describe(network, unit_layout), (side, side)


@cache
def units_of(name: str) -> pd.DataFrame:
    """What the job ``model`` writes and a figure reads, of real networks."""
    network, layout, size = built(name)
    units, width = measure(network, layout, size, "meta")
    rows = unit_rows(network, layout, units, width, locate_parameters(network, layout, size, "meta"))
    table = pd.DataFrame(rows, columns=list(UNIT_COLUMNS)).astype({"index": str})
    return table.assign(pooling=layout.feature_pooling)


def panel(model, method=None, units=(), classes=10, title=None):
    hidden = 1024 if method == "mlp" else None
    dataset = "CIFAR-10" if method else None
    return {
        "title": title, "model": model, "method": method, "units": list(units), "dataset": dataset,
        "classes": classes if method else None, "hidden": hidden,
    }  # fmt: skip


def given(*panels, layout="tuning"):
    """Settings and tables of a diagram."""
    told = {"kind": "diagram", "layout": layout, "panels": panels, "tables": [], "style": STYLE, "seed": 1}
    tables = {("units", each["model"], ""): units_of(each["model"]) for each in panels}
    return diagram.SETTINGS.read(told), tables


def parts(*panels) -> pd.DataFrame:
    return diagram.tabulate(*given(*panels))


def states(model, method, units=()) -> dict[str, str]:
    table = parts(panel(model, method, units))
    return dict(zip(table["part"], table["state"], strict=True))


# --- what becomes of the units -------------------------------------------------------------


@pytest.mark.parametrize("method", ["lp", "mlp", "layer_ft", "scl_ft", "full_ft", "layer_lp"])
@pytest.mark.parametrize("model", ["resnet18", "vit", "densenet121", "clip", "googlenet"])
def test_parameters_are_those_that_fine_tuning_counts(model, method):
    unit = {"resnet18": 5, "vit": 8, "densenet121": 2, "clip": 8, "googlenet": 4}[model]
    tuned = [] if method in ("lp", "mlp", "full_ft") else [unit]
    shown = parts(panel(model, method, tuned, classes=7)).iloc[0]
    path, unit_layout, side = NETWORKS[model]
    backbone = meta_backbone(path, unit_layout, (side, side))
    settings = method_facts(method).settings(name=method, units=tuple(tuned))
    task = Task(backbone, [""] * 7, settings, "update", 0)
    counted = count_parameters(variants.load(methods, method).prepare(task).to("meta"))
    assert (shown["all_trained"], shown["all_parameters"]) == (counted.trained, counted.all)
    assert shown["share"] == pytest.approx(counted.share)


@pytest.mark.parametrize("method", ["layer_ft", "scl_ft"])
def test_the_share_of_a_resnet50_is_the_papers(method):
    first = parts(panel("resnet50", method, [8])).iloc[0]
    assert (first["all_trained"], first["all_parameters"]) == (1_512_448 + 20_490, 23_528_522)
    assert round(first["share"], 2) == 6.52


def test_states_of_the_units_are_those_of_the_method():
    frozen = {"0": "frozen", **{str(unit): "frozen" for unit in range(1, 9)}, "penultimate": "frozen"}
    ends = {"head": "removed", "classifier": "trained"}
    assert states("resnet18", "lp") == frozen | ends
    for method in ("layer_ft", "scl_ft"):
        assert states("resnet18", method, [5]) == frozen | {"5": "tuned"} | ends
    assert states("resnet18", "layer_lora", [5]) == frozen | {"5": "adapted"} | ends
    assert states("resnet18", "full_ft") == dict.fromkeys(frozen, "tuned") | ends
    above = dict.fromkeys(("6", "7", "8"), "removed")
    # of maps the tuned unit's pooled output becomes the feature, tokens still go through the final norm
    assert states("resnet18", "layer_lp", [5]) == frozen | {"5": "tuned"} | above | ends | {
        "penultimate": "removed"
    }
    short = states("vit", "layer_lp", [8])
    assert [short[part] for part in ("8", "9", "12", "penultimate")] == [
        "tuned",
        "removed",
        "removed",
        "frozen",
    ]
    table = parts(panel("resnet18", "layer_lp", [5])).set_index("part")
    assert table["trained"]["classifier"] == (256 + 1) * 10


def test_only_scl_ft_has_a_skip_connection_and_it_is_of_the_tuned_units():
    for method in ("layer_ft", "layer_lp", "layer_lora", "lp", "full_ft"):
        tuned = [5] if method.startswith("layer") else []
        assert not parts(panel("resnet18", method, tuned))["skip"].any()
    table = parts(panel("resnet18", "scl_ft", [3, 5]))
    assert list(table.loc[table["skip"], "part"]) == ["3", "5"]


def test_what_only_images_or_ranks_tell_is_missing():
    unknown = parts(panel("resnet18", "layer_ft", [5], classes=None))
    assert unknown[["all_trained", "share"]].isna().all(axis=None)
    adapted = parts(panel("vit", "layer_lora", [8]))
    assert adapted[["all_trained", "all_parameters", "share"]].isna().all(axis=None)
    caption = caption_of(adapted)
    assert caption == "Trained: adapters of unit 8 (blocks.7) + classifier (10 classes of CIFAR-10, 7,690)"


def test_candidates_are_the_first_blocks_of_stages_and_every_encoder_layer():
    def chosen(model):
        table = parts(panel(model))
        return [int(part) for part in table.loc[table["candidate"], "part"]]

    assert chosen("resnet18") == [1, 3, 5, 7]
    assert chosen("resnet50") == [1, 4, 8, 14]
    assert chosen("vit") == list(range(1, 13))
    assert chosen("densenet121") == [1, 2, 3, 4]
    assert chosen("vgg") == []  # its units are pooling layers
    stages = parts(panel("resnet18"))
    assert list(stages["stage"].dropna()) == [1, 1, 2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (panel("vgg", "layer_ft", [2]), "has no parameters to tune"),
        (panel("resnet18", "layer_ft", [9]), "no unit 9 to tune; allowed are 1 to 8"),
    ],
)
def test_a_unit_that_cannot_be_tuned_is_named(shown, words):
    with pytest.raises(DegenerateInputError, match=words):
        parts(shown)


def test_a_unit_too_wide_for_a_skip_connection_is_named():
    settings, tables = given(panel("resnet18", "scl_ft", [7]))
    table = tables["units", "resnet18", ""].copy()
    table.loc[table["index"] == "penultimate", "width"] = 256
    with pytest.raises(
        DegenerateInputError, match=r"no skip connection from unit 7 \(layer4.0\), which is 512"
    ):
        diagram.tabulate(settings, {("units", "resnet18", ""): table})


# --- pictures ------------------------------------------------------------------------------


def diagram_of(layout, *panels):
    _, figure = drawn(diagram, *given(*panels, layout=layout))
    return figure


def words(figure) -> str:
    return "\n".join(text.get_text() for ax in figure.axes for text in ax.texts)


def test_the_skip_connection_says_how_the_output_meets_the_feature():
    assert "zero-padding 1024 → 2048" in words(diagram_of("tuning", panel("resnet50", "scl_ft", [8])))
    vit = words(diagram_of("tuning", panel("vit", "scl_ft", [8])))
    assert "class token" in vit
    assert "padding" not in vit
    assert "padding" not in words(diagram_of("tuning", panel("resnet50", "layer_ft", [8])))
    several = words(diagram_of("tuning", panel("resnet50", "scl_ft", [4, 8]))).replace("\n", " ")
    assert "zero-padding to 2048" in several


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("model", ["resnet18", "vit", "densenet121", "mobilenet", "googlenet", "deep"])
def test_every_network_has_room_and_words_that_can_be_read(layout, model):
    method = "scl_ft" if layout == "tuning" else None
    figure = diagram_of(layout, panel(model, method, [2] if method else []))
    width = figure.get_size_inches()[0]
    for ax in figure.axes:
        boxes = [text.get_window_extent() for text in ax.texts if text.get_text()]
        assert all(box.x0 >= -0.5 and box.x1 <= width * figure.dpi + 0.5 for box in boxes)
        assert min(text.get_fontsize() for text in ax.texts if text.get_text()) >= 5
        for index, one in enumerate(boxes):
            overlapping = [other for other in boxes[index + 1 :] if _overlap(one, other)]
            assert not overlapping, [text.get_text() for text in ax.texts]
    assert inches(figure.axes[0].texts[0]) < width


def _overlap(one, other) -> bool:
    """Whether two boxes share more than a hair's breadth, in pixels."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    tall = min(one.y1, other.y1) - max(one.y0, other.y0)
    return wide > 0.5 and tall > 1.5


@pytest.mark.parametrize("layout", LAYOUTS)
def test_diagrams_are_the_same_bytes_every_time(layout, tmp_path):
    method = "scl_ft" if layout == "tuning" else None
    panels = (panel("resnet18", method, [5] if method else []), panel("vit", method, [8] if method else []))
    _, path = written_twice_alike(diagram, lambda: given(*panels, layout=layout), tmp_path)
    back = pd.read_csv(path.with_suffix(".csv"))
    assert set(back["panel"]) == {"a", "b"}
    assert {"part", "module", "type", "width", "parameters", "state", "skip"} <= set(back.columns)


def test_the_papers_diagrams_read_units_and_train_nothing():
    for key, models in {"fig5": ["resnet34"], "fig6": ["resnet50"], "fig13": ["resnet18"]}.items():
        job = paper().figure(key)
        assert list(job.inputs.values()) == [f"results/models/{model}/manifest.json" for model in models]
        assert job.stamp.made_by == {"table_0": paper().model(models[0]).stamp.digest}
    panels = paper().figure("fig6").settings.panels
    assert [(shown.method, shown.units, shown.classes) for shown in panels] == [
        ("layer_ft", (8,), 10),
        ("scl_ft", (8,), 10),
    ]


# --- Table 1 -------------------------------------------------------------------------------


def test_table_1_says_what_is_measured_where_and_needs_nothing():
    job = paper().table("table1")
    assert (job.inputs, job.stamp.made_by) == ({}, {})
    numbers = measurements.tabulate(job.settings, {})
    rows = {picture: row for _, row in numbers.iterrows() for picture in row["pictures"].split("; ")}
    # the paper's three rows, and one of what is not in the paper
    assert list(zip(*(numbers[name] for name in ("section", "networks", "data")), strict=True)) == [
        ("Section 3", "pre-trained", "downstream"),
        ("Section 4", "fine-tuned", "downstream"),
        ("Section 5", "pre-trained", "source"),
        ("", "pre-trained", "source"),
    ]
    assert numbers["pictures"].iloc[3] == "collapse-over-training"
    # what shows no NC1 has no row, and all that does has one
    shown = {f"fig{number}" for number in (1, 2, 3, 4, 7, 10, 11, 12, 14, 15, 16, 17)}
    assert set(rows) == shown | {
        "fig3-small",
        "untrained",
        "table2",
        "table3",
        "tableB",
        "collapse-over-training",
    }
    for key in ("fig10", "fig11", "fig12", "tableB", "collapse-over-training"):
        assert (rows[key]["section"] == "Section 5") == (key != "collapse-over-training")
        assert rows[key]["datasets"] == "CIFAR-100"
    for key in ("fig1", "fig2", "fig3", "fig4", "fig15", "table2"):
        assert rows[key]["section"] == "Section 3"
    for key in ("fig7", "fig14", "fig16", "fig17", "table3"):
        assert rows[key]["section"] == "Section 4"
    assert rows["fig15"]["model_count"] == 10 + 7 + 3 + 1 + 6
    assert rows["table3"]["run_count"] == 10 + 48 + 20 + 18 + 108  # each once, docs/runs.md
    assert rows["fig3"]["features"] == "penultimate; every unit"
    assert set(numbers["images"]) == {SPLITS["train"], f"{SPLITS['train']}; training and test, as one"}
    readable = measurements.present(numbers, job.settings)
    assert readable["Shown in"].tolist() == [
        "Figures 1, 2, 3, 4, 15; Table 2; fig3-small",
        "Figures 7, 14, 16, 17; Table 3",
        "Figures 10, 11, 12; Table B; untrained",
        "collapse-over-training",
    ]
    assert readable["NC1 on"].tolist() == [f"{name} data" for name in numbers["data"]]
    assert readable["Models"].str.contains("24 of cifar100-resnet50").any()


def test_a_section_is_said_by_the_configuration_and_redraws_no_figure(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("study: null\nfigures: {fig3: {section: Section 3.2}}\n")
    other = Plan(load(ROOT / "config.yaml", [overlay]), ROOT)
    numbers = measurements.tabulate(other.table("table1").settings, {})
    assert "Section 3.2" in set(numbers["section"])
    assert other.table("table1").stamp.digest != paper().table("table1").stamp.digest
    assert other.figure("fig3").stamp.digest == paper().figure("fig3").stamp.digest


# --- the real workflow ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = Project.fresh(tmp_path_factory.mktemp("diagrams") / "p")
    made.edit(
        "tiny.yaml",
        "figures:\n",
        "figures:\n"
        "  tuning:\n    kind: diagram\n    layout: tuning\n    panels:\n"
        "      - {model: tiny, dataset: digits59, method: scl_ft, units: [5]}\n"
        "  candidates: {kind: diagram, layout: candidates, panels: [{model: tiny}]}\n",
    )
    return made


@pytest.mark.slow
def test_the_workflow_draws_diagrams_from_the_models_store_alone(project):
    targets = ("figures/tiny/tuning.pdf", "figures/tiny/candidates.pdf", "tables/tiny/table1.csv")
    planned = project.planned(*targets)
    assert planned == {"images": 1, "pretrain": 1, "model": 1, "figure": 2, "table": 1}
    run = project.run(*targets)
    assert run.returncode == 0, run.stderr
    numbers = pd.read_csv(project.folder / "figures/tiny/tuning.csv").set_index("part")
    units = pd.read_csv(project.folder / "results/tiny/models/tiny/units.csv").set_index("index")
    assert list(numbers.index[:-1]) == list(units.index)
    assert (numbers["parameters"][:-1] == units["parameters"]).all()
    assert numbers["trained"]["classifier"] == (units["width"]["penultimate"] + 1) * 5
    assert numbers["state"]["5"] == "tuned"
    assert (project.folder / "figures/tiny/candidates.png").stat().st_size > 1000
    assert "Section 3" in project.read("tables/tiny/table1.md")
    assert project.planned(*targets) == {}
