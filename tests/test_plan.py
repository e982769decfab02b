"""The plan: what the paper's configuration means, and what keys say of contents."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.dag.store_contents import store_contents
from nctransfer.dag.wildcards import names
from nctransfer.data.settings import Geometry
from nctransfer.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]


def plan(*overlays: Path) -> Plan:
    return Plan(load(ROOT / "config.yaml", overlays), ROOT)


def overlay(folder: Path, text: str) -> Path:
    path = folder / "overlay.yaml"
    path.write_text("study: x\n" + text)
    return path


@pytest.fixture(scope="module")
def paper() -> Plan:
    return plan()


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
        key
        for key, model in paper.study.models.items()
        if model.group and model.snapshot_of is None and model.run is None
        and other.pretrain(key).settings.training != paper.pretrain(key).settings.training
    }  # fmt: skip
    levels = [*(f"aug{level}" for level in range(1, 4)), *(f"adv{level}" for level in range(1, 5))]
    unmoved = {f"cifar100-resnet50-{level}" for level in levels}
    assert not rerun & unmoved
    assert {"cifar100-resnet50-aug4", "cifar100-resnet50-aug5", "cifar100-resnet50-adv5"} <= rerun
    assert {"cifar100-resnet50-mse", "cifar100-resnet50-supcon-linear"} <= rerun


@pytest.mark.parametrize(
    ("model", "view"),
    [
        ("cifar100-resnet50-aug1", "cifar10-32px"),
        ("cifar-fs-resnet12", "cifar-fs-test-32px"),
        ("resnet50", "pet-224px"),
        ("clip-vit-b32", "sun397-224px"),
    ],
)
def test_only_the_penultimate_feature_is_kept_where_all_units_would_take_much_room(paper, model, view):
    assert paper.features(model, view).settings.units == "penultimate"
    assert paper.features("resnet34", "cifar10-224px").settings.units == "all"


def test_snapshots_are_models_measured_on_the_source_data(paper):
    panel = paper.figure("collapse-over-training").settings.panels[0]
    assert panel.view == "cifar100-32px"
    assert [snapshot.epoch for snapshot in panel.snapshots] == list(range(20, 201, 20))
    job = paper.model("cifar100-resnet18-ce.epoch20")
    assert job.settings.epoch == 20
    assert job.inputs["checkpoint"] == "results/pretraining/cifar100-resnet18-ce/manifest.json"
    assert paper.pretrain("cifar100-resnet18-ce").settings.training.snapshots == tuple(range(20, 201, 20))


def test_small_images_are_stored_once_for_all_sizes(paper):
    assert paper.images("cifar10").settings.geometry is None
    first = paper.features("resnet34", "cifar10-224px")
    second = paper.features("vit-b32-384", "cifar10-384px")
    assert first.inputs["train"] == second.inputs["train"]
    assert first.settings.geometry.resize == (224, 224)
    assert second.settings.geometry.resize == (384, 384)


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
    assert chosen.images("dtd-224px").settings.geometry.resize == (224, 224)


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
    assert Geometry(**one).key != Geometry(**other).key


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
    assert chosen.pretrain("mine").settings.geometry.resize == (32, 32)


def test_a_model_that_no_target_needs_stops_nothing(tmp_path):
    text = "preprocess: native\nmodels: {odd: {source: timm, name: resnet18.a1_in1k, size: 100}}\n"
    chosen = plan(overlay(tmp_path, text))
    assert not [view for model, view in chosen._views if model == "odd"]
    assert chosen.figure("fig3").settings.panels[0].view.startswith("cifar10-native")
    with pytest.raises(ConfigError, match=r"models.odd.size"):
        chosen.features("odd", "cifar10-100px")


def test_folders_of_the_user_count_by_their_contents_behind_links_too(tmp_path):
    real = tmp_path / "elsewhere"
    for split in ("train", "val"):
        for name in ("n01", "n02"):
            (real / split / name).mkdir(parents=True)
    (tmp_path / "imagenet").symlink_to(real)
    text = f"datasets: {{big: {{source: torchvision, name: ImageNet, path: {tmp_path}/imagenet}}}}\n"
    before = plan(overlay(tmp_path, text)).images("big-224px").stamp.digest
    assert plan(overlay(tmp_path, text)).images("big-224px").stamp.digest == before
    (real / "train/n01/a.jpg").write_bytes(b"x")
    assert plan(overlay(tmp_path, text)).images("big-224px").stamp.digest != before


def test_jobs_have_seeds_of_their_own_that_follow_the_studys(tmp_path, paper):
    seeds = {
        paper.images("cifar10").settings.seed,
        paper.metrics("resnet34", "cifar10-224px").settings.seed,
        paper.metrics("vit-b32-384", "cifar10-384px").settings.seed,
        *paper.probes("resnet34", "cifar10-224px").settings.seeds,
    }
    assert len(seeds) == 4
    again = plan()
    assert again.images("cifar10").settings.seed == paper.images("cifar10").settings.seed
    assert plan(overlay(tmp_path, "seed: 1\n")).images("cifar10").settings.seed not in seeds
    assert max(seeds) < np.iinfo(np.int32).max


def test_a_missing_weights_file_is_named_with_its_key(tmp_path):
    text = "models: {mine: {source: local, architecture: cifar/resnet20, weights: nowhere.safetensors}}\n"
    with pytest.raises(ConfigError, match=r"models.mine.weights: no file 'nowhere.safetensors'"):
        plan(overlay(tmp_path, text)).model("mine")


FEATURES, IMAGES = "features/resnet34/cifar10-224px", "images/cifar10"


@pytest.mark.parametrize(
    ("stage", "keys", "contents"),
    [
        ("metrics", ("resnet34", "cifar10-224px"), {f"{FEATURES}/train/arrays", f"{FEATURES}/test/arrays"}),
        ("features", ("resnet34", "cifar10-224px"), {
            f"{IMAGES}/train/arrays", f"{IMAGES}/test/arrays", "models/resnet34/arrays", "models/resnet34/units.csv",
        }),
        ("model", ("cifar100-resnet50-aug1",), {"pretraining/cifar100-resnet50-aug1/arrays"}),
        ("images", ("cifar10",), set()),
    ],
)  # fmt: skip
def test_a_job_gets_the_whole_of_the_stores_that_it_reads(paper, stage, keys, contents):
    found = store_contents(getattr(paper, stage)(*keys), paper.results)
    assert set(found) == {f"results/{path}" for path in contents}


def test_a_figure_gets_what_describes_its_tables_but_no_weights(paper):
    contents = store_contents(paper.figure("fig3"), paper.results)
    assert contents
    assert all(path.endswith(("/units.csv", "/manifest.json")) for path in contents)


def test_own_files_in_folders_named_like_those_of_stores_are_no_stores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    Path("models/mine.safetensors").touch()
    text = "models: {mine: {source: local, architecture: cifar/resnet20, weights: models/mine.safetensors}}\n"
    mine = plan(overlay(tmp_path, text))
    assert dict(mine.model("mine").inputs) == {"checkpoint": "models/mine.safetensors"}
    assert store_contents(mine.model("mine"), mine.results) == []


def test_a_view_that_is_none_is_refused(paper):
    with pytest.raises(ConfigError, match=r"'resnet34' has no view 'cifar10-384px'; it has: .*cifar10-224px"):
        paper.features("resnet34", "cifar10-384px")


# by modules, libraries that they must not load
STARTING = {
    "nctransfer.dag.plan nctransfer.config.load nctransfer.runtime.snakemake_command": "torch numpy pandas",
    "nctransfer.reporting.figures.layerwise.figure nctransfer.reporting.output nctransfer.runtime.job": (
        "torch torchvision timm"
    ),
    "nctransfer.tidy.collapse nctransfer.runtime.job": "torchvision timm open_clip matplotlib",
    "nctransfer.tidy.classifiers": "torchvision timm open_clip",
    "nctransfer.tidy.probes nctransfer.probing.solvers.sgd nctransfer.probing.solvers.lbfgs": (
        "torchvision timm open_clip"
    ),
    "nctransfer.training.pretraining nctransfer.models.architectures.small": "torchvision timm",
}
# each in a process of its own, to those of jobs with torch it is loaded
START = """
import importlib, json, os, sys
for modules, forbidden in json.loads(sys.argv[1]).items():
    if "torch" not in forbidden.split():
        import torch
    if os.fork() == 0:
        for module in modules.split():
            importlib.import_module(module)
        print(modules, [name for name in forbidden.split() if name in sys.modules], flush=True)
        os._exit(0)
    os.wait()
"""


def test_jobs_start_without_libraries_that_they_do_not_need():
    typed = [sys.executable, "-c", START, json.dumps(STARTING)]
    run = subprocess.run(typed, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [f"{modules} []" for modules in STARTING], run.stderr


def test_a_wildcard_matches_exactly_its_keys():
    keys = ["a", "ab", "a.b", "abc-1", "abc-10", "b+", "model", "model.epoch1"]
    pattern = re.compile(names(keys))
    assert all(pattern.fullmatch(key) for key in keys)
    others = ["aa", "axb", "abc", "abc-", "abc-100", "b", "bb", "mode", "model.epoch", "model.epoch12"]
    assert not any(pattern.fullmatch(other) for other in ["", *others])
    assert re.compile(names([])).fullmatch("") is None
