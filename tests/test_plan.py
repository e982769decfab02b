"""The plan: what the paper's configuration means, and what keys say of contents."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nctransfer.errors import ConfigError
from nctransfer.plan import config
from nctransfer.plan.grid import Plan
from nctransfer.plan.views import geometry_key

ROOT = Path(__file__).resolve().parents[1]


def plan(*overlays: Path) -> Plan:
    return Plan(config.load(ROOT / "config.yaml", overlays), ROOT)


def overlay(folder: Path, text: str) -> Path:
    path = folder / "overlay.yaml"
    path.write_text("study: x\n" + text)
    return path


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan()


def test_figure_3_is_planned_as_the_paper_describes_it(paper):
    panels = paper.figure("fig3").settings["panels"]
    assert [(panel["model"], panel["view"], panel["pooling"]) for panel in panels] == [
        ("resnet34", "cifar10-224px", "avg"),
        ("vit-b32-384", "cifar10-384px", "token_mean"),  # the average over all tokens
    ]
    resnet, vit = paper.model("resnet34").settings, paper.model("vit-b32-384").settings
    assert (resnet["source"], resnet["name"], resnet["weights"]) == (
        "torchvision",
        "resnet34",
        "IMAGENET1K_V1",
    )
    assert (resnet["size"], vit["size"]) == ([224, 224], [384, 384])
    assert paper.facts("resnet34").known.units == 16
    assert paper.facts("vit-b32-384").known.units == 12
    images = paper.images("cifar10").settings
    assert (images["source"], images["options"]["name"], images["per_class"]) == (
        "torchvision",
        "CIFAR10",
        None,
    )
    probes = paper.probes("resnet34", "cifar10-224px").settings
    assert (probes["solver"], probes["epochs"], probes["momentum"]) == ("sgd", 200, 0.9)
    assert (probes["learning_rates"], probes["learning_rate_min"], probes["weight_decays"]) == (
        [0.1],
        1e-4,
        [1e-4],
    )


IMAGENET = {
    "ResNet 18": ("resnet18", 8),
    "ResNet 50": ("resnet50", 16),
    "DenseNet 121": ("densenet121", 4),
    "DenseNet 169": ("densenet169", 4),
    "DenseNet 201": ("densenet201", 4),
    "MobileNet v2": ("mobilenet_v2", 17),
    "Inception v1": ("googlenet", 9),
}


def test_figure_2_is_planned_as_the_paper_describes_it(paper):
    figure = paper.figure("fig2").settings
    assert (figure["kind"], figure["curve"]) == ("transfer", "line")
    panels = figure["panels"]
    assert [panel["title"] for panel in panels] == ["CIFAR-10", "Aircraft", "DTD", "Pet"]
    for panel, dataset in zip(panels, ("cifar10", "aircraft", "dtd", "pet"), strict=True):
        names = [f"{point['series']} {point['label']}" for point in panel["points"]]
        assert dict(zip(names, [point["model"] for point in panel["points"]], strict=True)) == {
            name: model for name, (model, _) in IMAGENET.items()
        }
        for point in panel["points"]:  # on its own data
            assert point["view"] == point["nc1_view"] == f"{dataset}-224px"
    assert len(figure["tables"]) == 2 * 7 * 4
    for model, units in IMAGENET.values():
        settings = paper.model(model).settings
        published = (settings["source"], settings["name"], settings["weights"], settings["size"])
        assert published == ("torchvision", model, "IMAGENET1K_V1", [224, 224])
        assert paper.facts(model).known.units == units
        features = paper.features(model, "pet-224px").settings
        assert features["geometry"]["resize"] == [224, 224]
        assert features["units"] == ("penultimate" if model == "resnet50" else "all")


def test_figure_4_is_planned_as_the_paper_describes_it(paper):
    figure = paper.figure("fig4").settings
    names = ["CIFAR-10", "CIFAR-100", "DTD", "Aircraft", "Flowers102", "SUN397"]
    keys = ["cifar10", "cifar100", "dtd", "aircraft", "flowers102", "sun397"]
    assert [panel["abscissa"] for panel in figure["panels"]] == ["nc1", "train_accuracy"]
    for panel in figure["panels"]:
        assert [point["label"] for point in panel["points"]] == names
        assert {point["model"] for point in panel["points"]} == {"clip-vit-b32"}
        views = [f"{key}-224px" for key in keys]
        assert [point["view"] for point in panel["points"]] == views
        assert [point["nc1_view"] for point in panel["points"]] == views
    assert len(figure["tables"]) == 2 * 6
    for key, name in (("flowers102", "Flowers102"), ("sun397", "SUN397")):
        images = paper.images(f"{key}-224px").settings
        assert (images["source"], images["options"]["name"], images["per_class"]) == (
            "torchvision",
            name,
            None,
        )
    assert {f"clip-vit-b32/{key}-224px" for key in keys} <= set(paper.shown)
    assert paper.features("clip-vit-b32", "sun397-224px").settings["units"] == "penultimate"


LEVELS = [f"cifar100-resnet50-{kind}{level}" for kind in ("aug", "adv") for level in range(1, 6)]


def test_the_figures_of_pre_training_are_planned_as_the_paper_describes_them(paper):
    for figure in ("fig1", "fig15"):
        panels = paper.figure(figure).settings["panels"]
        assert [panel["title"] for panel in panels] == ["CIFAR-10", "Aircraft", "DTD", "Pet"]
        for panel in panels:
            assert [point["model"] for point in panel["points"]] == LEVELS
        own = [{point["nc1_view"] for point in panel["points"]} for panel in panels]
        views = [{point["view"] for point in panel["points"]} for panel in panels]
        assert views == [{"cifar10-32px"}, {"aircraft-32px"}, {"dtd-32px"}, {"pet-32px"}]
        assert own == (views if figure == "fig15" else [{"cifar10-32px"}] * 4)
    tenth = paper.figure("fig10").settings
    assert tenth["curve"] == "parabola"
    assert [point["model"] for point in tenth["panels"][0]["points"]] == LEVELS
    assert {point["nc1_view"] for point in tenth["panels"][0]["points"]} == {"cifar100-32px"}


def test_every_level_is_trained_by_the_papers_recipe(paper):
    radii = []
    for model in LEVELS:
        settings = paper.pretrain(model).settings
        training = settings["training"]
        assert (settings["architecture"], settings["size"]) == ("small/resnet50", [32, 32])
        assert paper.config["models"][model]["dataset"] == "cifar100"
        named = ("epochs", "learning_rate", "learning_rate_min", "momentum", "weight_decay")
        assert [training[name] for name in named] == [200, 0.1, 1e-4, 0.9, 1e-4]
        assert training["loss"] == {"name": "cross_entropy", "label_smoothing": 0}
        assert training["projection"] is None
        attack = training["adversary"]
        assert training["augmentation"]["level"] == (3 if attack else int(model[-1]))
        if attack:
            radii.append(round(255 * attack["radius"], 9))
            assert attack["steps"] == 7
            assert attack["step_size"] == pytest.approx(2.5 * attack["radius"] / 7)
    assert radii == [1, 2, 3, 5, 8]


def test_losses_and_heads_are_those_of_the_paper(paper):
    heads = {}
    for panel in paper.figure("fig11").settings["panels"]:
        for point in panel["points"]:
            training = paper.pretrain(point["model"]).settings["training"]
            assert training["augmentation"]["level"] == 5
            projection = training["projection"]
            heads[training["loss"]["name"], point["label"]] = projection and projection["layers"]
            assert paper.pretrain(point["model"]).settings["architecture"] == "small/resnet50"
    classifying = {"none": None, "MLP-1": 1, "MLP-2": 2, "MLP-3": 3}
    expected = {
        (loss, head): layers
        for loss in ("cross_entropy", "mean_squared_error")
        for head, layers in classifying.items()
    }
    contrastive = {"linear": 0, "MLP-1": 1, "MLP-2": 2, "MLP-3": 3}
    expected |= {("supervised_contrastive", head): layers for head, layers in contrastive.items()}
    assert heads == expected
    rows = paper.table("tableB").settings["panels"][0]["points"]
    found = [paper.pretrain(row["model"]).settings for row in rows]
    assert [entry["training"]["loss"]["name"] for entry in found] == [
        "mean_squared_error", "cross_entropy", "supervised_contrastive", "supervised_contrastive",
    ]  # fmt: skip
    assert [
        entry["training"]["projection"] and entry["training"]["projection"]["layers"] for entry in found
    ] == [None, None, 0, 1]
    assert {entry["architecture"] for entry in found} == {"small/resnet18"}


def test_figures_share_their_models(paper):
    trained = set()
    for figure in ("fig1", "fig10", "fig11", "fig12", "fig15"):
        trained |= {
            point["model"] for panel in paper.figure(figure).settings["panels"] for point in panel["points"]
        }
    assert len(trained) == 10 + 11 + 12  # levels; losses and heads, one of them a level; those of ResNet18


def test_a_training_reads_no_option_that_it_has_no_use_for(tmp_path, paper):
    text = """
training:
  temperature: 0.5
  mse_target: 2
  projection: {hidden: 7}
  augmentation: {grayscale: 0.9, jitter: {hue: 0}}
  adversary: {radii: [1, 2, 3, 5, 9], steps: 7, evaluate_every: 10}
  snapshot_every: 0
"""
    other = plan(overlay(tmp_path, text))
    rerun = {
        model
        for model in paper.config["models"]
        if "member_of" in paper.config["models"][model] and "snapshot_of" not in paper.config["models"][model]
        and other.pretrain(model).settings["training"] != paper.pretrain(model).settings["training"]
    }  # fmt: skip
    unmoved = {*LEVELS[:3], *(f"cifar100-resnet50-adv{level}" for level in range(1, 5))}
    assert not rerun & unmoved
    assert {"cifar100-resnet50-aug4", "cifar100-resnet50-aug5", "cifar100-resnet50-adv5"} <= rerun
    assert {"cifar100-resnet50-mse", "cifar100-resnet50-supcon-linear"} <= rerun


def test_of_the_source_models_only_the_penultimate_feature_is_kept(paper):
    assert paper.features("cifar100-resnet50-aug1", "cifar10-32px").settings["units"] == "penultimate"
    assert paper.features("resnet34", "cifar10-224px").settings["units"] == "all"


def test_snapshots_are_models_measured_on_the_source_data(paper):
    panel = paper.figure("collapse-over-training").settings["panels"][0]
    assert panel["view"] == "cifar100-32px"
    assert [entry["epoch"] for entry in panel["snapshots"]] == list(range(20, 201, 20))
    job = paper.model("cifar100-resnet18-ce.epoch20")
    assert job.settings["epoch"] == 20
    assert job.inputs["checkpoint"] == "results/pretraining/cifar100-resnet18-ce/manifest.json"
    assert paper.pretrain("cifar100-resnet18-ce").settings["training"]["snapshots"] == list(
        range(20, 201, 20)
    )


def test_small_images_are_stored_once_for_all_sizes(paper):
    assert paper.images("cifar10").settings["geometry"] is None
    first = paper.features("resnet34", "cifar10-224px")
    second = paper.features("vit-b32-384", "cifar10-384px")
    assert first.inputs["train"] == second.inputs["train"]
    assert first.settings["geometry"]["resize"] == [224, 224]
    assert second.settings["geometry"]["resize"] == [384, 384]


def test_large_images_are_stored_once_for_each_geometry(tmp_path):
    chosen = plan(
        overlay(
            tmp_path,
            """
datasets: {dtd: {source: torchvision, name: DTD}}
models:
  vit: {source: timm, name: vit_base_patch16_224.augreg_in21k_ft_in1k}
  native34: {source: torchvision, name: resnet34, preprocess: native}
  native18: {source: torchvision, name: resnet18, preprocess: native}
""",
        )
    )
    view = {model: chosen.view(model, "dtd").images for model in ("resnet34", "vit", "native34", "native18")}
    assert view["resnet34"] == view["vit"] == "dtd-224px"
    assert view["native34"] == view["native18"] == "dtd-native256c224bilinear-once"
    assert chosen.images("dtd-224px").settings["geometry"]["resize"] == [224, 224]


def test_subsets_are_in_the_key(tmp_path):
    chosen = plan(overlay(tmp_path, "datasets: {cifar10: {per_class: 100, test_per_class: 5}}\n"))
    assert chosen.view("resnet34", "cifar10").key == "cifar10.100pc.test5pc-224px"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"resize": [224, 224]}, {"resize": [384, 384]}),
        ({"resize": 256, "crop": 224}, {"resize": 232, "crop": 224}),
        ({"resize": 256, "crop": 224}, {"resize": [256, 256], "crop": 224}),
        ({"resize": 256, "crop": 224}, {"resize": 256, "crop": 224, "interpolation": "bicubic"}),
        ({"resize": 256, "crop": 224}, {"resize": 256, "crop": 224, "rounding": "once"}),
        ({"resize": [224, 224]}, {"resize": [224, 224], "interpolation": "bicubic"}),
    ],
)
def test_other_geometries_have_other_keys(one, other):
    default = {"crop": None, "interpolation": "bilinear"}
    assert geometry_key(default | one) != geometry_key(default | other)


def test_two_data_sets_cannot_share_a_view(tmp_path):
    text = "datasets: {cifar10: {per_class: 5}, cifar10.5pc: {source: torchvision, name: CIFAR100}}\n"
    chosen = plan(overlay(tmp_path, text))
    with pytest.raises(ConfigError, match=r"its view .* is also that of"):
        _ = chosen.view_keys


def test_two_data_sets_cannot_share_an_image_store(tmp_path):
    (tmp_path / "leaves").mkdir()
    text = f"""
datasets:
  a: {{source: imagefolder, path: {tmp_path}/leaves, test_fraction: 0.5}}
  a-224px: {{source: digits}}
"""
    with pytest.raises(ConfigError, match=r"its image store 'a-224px' is also that of"):
        _ = plan(overlay(tmp_path, text)).image_keys


def test_a_size_other_than_the_librarys_has_no_native_geometry(tmp_path):
    text = "preprocess: native\nmodels: {resnet34: {size: 128}}\n"
    with pytest.raises(ConfigError, match=r"models.resnet34.size: 128 is not the 224"):
        plan(overlay(tmp_path, text)).view("resnet34", "cifar10")


def test_a_model_trained_here_is_shown_its_own_size_whatever_its_architecture(tmp_path):
    model = "{source: pretraining, architecture: torchvision/resnet18, size: 32, dataset: cifar10}"
    chosen = plan(overlay(tmp_path, f"preprocess: native\nmodels: {{mine: {model}}}\n"))
    assert chosen.pretrain("mine").settings["geometry"]["resize"] == [32, 32]


def test_a_model_that_no_target_needs_stops_nothing(tmp_path):
    text = "preprocess: native\nmodels: {odd: {source: timm, name: resnet18.a1_in1k, size: 100}}\n"
    chosen = plan(overlay(tmp_path, text))
    assert not [view for model, view in chosen._views if model == "odd"]
    assert chosen.figure("fig3").settings["panels"][0]["view"].startswith("cifar10-native")
    with pytest.raises(ConfigError, match=r"models.odd.size"):
        chosen.features("odd", "cifar10-100px")


def test_folders_of_the_user_count_by_their_contents_behind_links_too(tmp_path):
    real = tmp_path / "elsewhere"
    for split in ("train", "val"):
        for name in ("n01", "n02"):
            (real / split / name).mkdir(parents=True)
    (tmp_path / "imagenet").symlink_to(real)
    text = f"datasets: {{big: {{source: torchvision, name: ImageNet, path: {tmp_path}/imagenet}}}}\n"
    before = plan(overlay(tmp_path, text)).images("big-224px").recipe
    assert plan(overlay(tmp_path, text)).images("big-224px").recipe == before
    (real / "train/n01/a.jpg").write_bytes(b"x")
    assert plan(overlay(tmp_path, text)).images("big-224px").recipe != before


def test_jobs_have_seeds_of_their_own_that_follow_the_studys(tmp_path, paper):
    seeds = {
        paper.images("cifar10").settings["seed"],
        paper.metrics("resnet34", "cifar10-224px").settings["seed"],
        paper.metrics("vit-b32-384", "cifar10-384px").settings["seed"],
        *paper.probes("resnet34", "cifar10-224px").settings["seeds"],
    }
    assert len(seeds) == 4
    again = plan()
    assert again.images("cifar10").settings["seed"] == paper.images("cifar10").settings["seed"]
    assert plan(overlay(tmp_path, "seed: 1\n")).images("cifar10").settings["seed"] not in seeds
    assert max(seeds) < np.iinfo(np.int32).max


def test_a_missing_weights_file_is_named_with_its_key(tmp_path):
    text = "models: {mine: {source: local, architecture: cifar/resnet20, weights: nowhere.safetensors}}\n"
    with pytest.raises(ConfigError, match=r"models.mine.weights: no file 'nowhere.safetensors'"):
        plan(overlay(tmp_path, text)).model("mine")


def test_a_view_that_is_none_is_refused(paper):
    with pytest.raises(ConfigError, match=r"'resnet34' has no view 'cifar10-384px'; it has: .*cifar10-224px"):
        paper.features("resnet34", "cifar10-384px")


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        (
            ["nctransfer.plan.grid", "nctransfer.plan.config", "nctransfer.plan.command"],
            ["torch", "numpy", "pandas"],
        ),
        (["nctransfer.tidy.collapse", "nctransfer.job"], ["torchvision", "timm", "open_clip", "matplotlib"]),
        (["nctransfer.tidy.classifiers"], ["torchvision", "timm", "open_clip"]),
        (
            ["nctransfer.tidy.probes", "nctransfer.probing.solvers.sgd", "nctransfer.probing.solvers.lbfgs"],
            ["torchvision", "timm", "open_clip"],
        ),
        (
            ["nctransfer.reporting.figures.layerwise", "nctransfer.reporting.output", "nctransfer.job"],
            ["torch", "torchvision", "timm"],
        ),
        (
            ["nctransfer.training.pretraining", "nctransfer.models.architectures.small"],
            ["torchvision", "timm"],
        ),
    ],
)
def test_jobs_start_without_libraries_that_they_do_not_need(modules, forbidden):
    code = f"import sys; import {', '.join(modules)}; print([m for m in {forbidden} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
