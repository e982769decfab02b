"""Real images and real pre-trained weights through the real workflow (skipped where they are absent)."""

import subprocess
import sys
import zipfile

import pandas as pd
import pytest
import yaml
from project import Project

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path, shared_data) -> Project:
    project = Project.fresh(tmp_path / "p")
    unpack = [sys.executable, str(shared_data / "unpack.py"), str(tmp_path / "arrays"), "cifar10"]
    subprocess.run(unpack, check=True, capture_output=True)
    overlay = {
        "study": "real",
        "datasets": {
            "cifar": {
                "source": "arrays",
                "train": str(tmp_path / "arrays/cifar10_train.npz"),
                "test": str(tmp_path / "arrays/cifar10_test.npz"),
                "per_class": 30,
                "test_per_class": 20,
            }
        },
        "models": {
            "mobilenet": {
                "source": "local",
                "architecture": "torchvision/mobilenet_v2",
                "weights": str(shared_data / "mobilenet_v2.safetensors"),
                "head": False,
            },
            "vit": {
                "source": "local",
                "architecture": "timm/vit_tiny_patch16_224",
                "weights": str(shared_data / "vit_tiny_patch16_224.safetensors"),
            },
        },
        "features": {"batch_size": 50},
        "probes": {"epochs": 60},
        "figures": {
            "fig3": {
                "panels": [
                    {"model": "mobilenet", "dataset": "cifar"},
                    {"model": "vit", "dataset": "cifar", "pooling": "token_mean"},
                ]
            }
        },
        "resources": {"threads": 2, "mem_mb": 4000, "runtime": 30},
    }
    (project.folder / "real.yaml").write_text(yaml.safe_dump(overlay))
    return project


def test_imagenet_models_collapse_with_depth_and_transfer_better_for_it(project):
    run = project.run("figures/real/fig3.pdf", overlay="real.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(project.folder / "figures/real/fig3.csv")
    mobilenet, vit = (part for _, part in table.groupby("panel"))
    assert list(mobilenet["unit"]) == list(range(1, 18))
    assert list(vit["unit"]) == list(range(1, 13))
    for part in (mobilenet, vit):
        assert part["nc1"].iloc[-1] < part["nc1"].iloc[0]
        assert part["transfer_accuracy"].iloc[-1] > part["transfer_accuracy"].iloc[0] + 15
        assert part["nc1_slope"].iloc[0] < 0  # the paper's claim, claim by unit
        assert part["log_nc1_r2"].iloc[0] > 0.5
    assert vit["transfer_accuracy"].iloc[-1] > 70


def test_tuning_one_layer_of_a_vit_collapses_its_features(project, shared_data):
    overlay = yaml.safe_load(project.read("real.yaml"))
    runs = [{"methods": ["lp", "layer_ft", "scl_ft"], "units": [8]}]
    panel = {"model": "vit", "dataset": "cifar", "title": "ViT-Ti", "runs": runs}
    overlay["tables"] = {"tuned": {"kind": "methods", "panels": [panel]}}
    overlay["finetuning"] = {"epochs": 6, "batch_size": 20, "precision": "float32", "evaluate_every": 6}
    overlay["datasets"]["cifar"] |= {"per_class": 10, "test_per_class": 15}
    overlay["models"]["vit"]["units"] = "penultimate"
    del overlay["figures"]
    (project.folder / "real.yaml").write_text(yaml.safe_dump(overlay))
    run = project.run("tables/real/tuned.csv", overlay="real.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(project.folder / "tables/real/tuned.csv").set_index("method")
    for method in ("layer_ft", "scl_ft"):
        assert table["nc1"][method] < 0.9 * table["nc1"]["lp"], table["nc1"]
        assert table["transfer_accuracy"][method] > 50  # of ten classes, from ten images each
    assert table["transfer_accuracy"]["lp"] > 60
    assert table["nc1_summed"].notna()["scl_ft"]
    assert table["share"]["layer_ft"] == table["share"]["scl_ft"]


def test_published_models_are_ranked_on_a_folder_of_textures(project, shared_data, tmp_path):
    """Three ImageNet networks of clearly different quality: most scores must order them as their probes do."""
    with zipfile.ZipFile(shared_data / "dtd10_160.zip") as archive:
        archive.extractall(tmp_path)
    overlay = yaml.safe_load(project.read("real.yaml"))
    folder = {"source": "imagefolder", "path": str(tmp_path / "dtd10"), "per_class": 24}  # all test images
    overlay["datasets"] = {"textures": folder}
    overlay["probes"]["seeds"] = 5  # a single one of the ViT's errs by four points
    squeezenet = {
        "source": "local",
        "architecture": "torchvision/squeezenet1_1",
        "weights": str(shared_data / "squeezenet1_1.safetensors"),
    }
    overlay["models"] |= {"squeezenet": squeezenet}
    for model in overlay["models"].values():
        model["units"] = "penultimate"
    del overlay["figures"]
    overlay["rank"] = {"datasets": ["textures"], "models": ["mobilenet", "vit", "squeezenet"]}
    (project.folder / "real.yaml").write_text(yaml.safe_dump(overlay))
    run = project.run("rank", overlay="real.yaml")
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_parquet(project.folder / "results/real/rank/textures.parquet")
    models = table[(table["comparison"] == "models") & (table["kind"] != "term")]
    wide = models.pivot(index="name", columns="model", values="value").dropna(how="all")
    assert wide.loc["probe", ["vit", "mobilenet"]].min() > wide.loc["probe", "squeezenet"] + 5
    right = [name for name in wide.index if wide.loc[name].idxmin() == "squeezenet"]
    assert {"probe", "logme", "parc"} <= set(right)  # with fewer images than dimensions not all scores do
    reasons = models[models["reason"] != ""].groupby("name")["model"].apply(set).to_dict()
    assert reasons["leep"] == reasons["nce"] == {"mobilenet"}  # its classifier is missing
    assert reasons["vci"] == {"mobilenet", "squeezenet"}  # 240 images, 1,280 and 512 dimensions
    assert reasons["source_accuracy"] == {"mobilenet", "vit", "squeezenet"}
