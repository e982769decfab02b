"""Shards in the workflow: one extraction by several jobs, and what follows from it."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image
from project import Project

pytestmark = pytest.mark.slow

VIEW = "tiny/digits59.40pc.test10pc-8px"
FEATURES = f"results/tiny/features/{VIEW}"
METRICS = f"results/tiny/metrics/{VIEW}.parquet"


def with_shards(project: Project, shards: int) -> None:
    overlay = yaml.safe_load(project.read("tiny.yaml"))
    overlay["datasets"]["digits59"]["shards"], overlay["features"] = shards, {"batch_size": 64}
    (project.folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))


def arrays(project: Project) -> dict[str, bytes]:
    return {name: data for name, data in project.contents(FEATURES).items() if name.endswith(".npy")}


def ran(project: Project, *targets: str) -> None:
    run = project.run(*targets)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Project:
    project = Project.fresh(tmp_path_factory.mktemp("one") / "p")
    with_shards(project, 1)
    ran(project, METRICS)
    return project


def test_three_jobs_and_a_resumed_run_give_what_one_job_gives(one, tmp_path):
    project = one.clone(tmp_path / "p")
    with_shards(project, 3)
    # as if the run had ended after one of them
    ran(project, f"results/tiny/features_shards/{VIEW}/1/train/manifest.json")
    assert project.planned(METRICS) == {"features_shard": 2, "features_joined": 1, "metrics": 1}
    ran(project, METRICS)
    assert arrays(project) == arrays(one)
    for split in ("train", "test"):
        manifests = [json.loads(each.read(f"{FEATURES}/{split}/manifest.json")) for each in (one, project)]
        rules = {rule for made in manifests[1].pop("stamp")["made_with"] for rule in made["rules"]}
        assert {"features_shard", "features_joined"} <= rules
        del manifests[0]["stamp"]
        assert manifests[0] == manifests[1]
    assert not list(project.folder.glob("results/tiny/features_shards/**/*.npy"))
    assert not project.planned(METRICS)

    # a change of code that altered no result can be adopted, although the shards are gone
    path = project.folder / "nctransfer/features/extract.py"
    path.write_text(path.read_text() + "\nX = 1\n")
    assert project.planned(METRICS) == {"features_shard": 3, "features_joined": 1, "metrics": 1}
    command = "-m nctransfer.dag.adopt --configfile tiny.yaml --yes --reason Nothing"
    subprocess.run([sys.executable, *command.split()], cwd=project.folder, check=True, capture_output=True)
    assert not project.planned(METRICS)


def test_a_shard_that_is_changed_before_it_is_joined_is_refused_by_name(one, tmp_path):
    project = one.clone(tmp_path / "p")
    with_shards(project, 2)
    shard = f"results/tiny/features_shards/{VIEW}/1/train"
    ran(project, f"{shard}/manifest.json")
    with (project.folder / shard / "arrays/unit03.avg.npy").open("ab") as file:
        file.write(b"x")
    run = project.run(METRICS)
    assert run.returncode != 0
    assert f"{shard}/arrays/unit03.avg.npy: its bytes differ from the checksum" in run.stderr
    assert not (project.folder / FEATURES).exists()


def test_a_shard_that_does_not_exist_is_named(one, tmp_path):
    project = one.clone(tmp_path / "p")
    with_shards(project, 2)
    run = project.run(f"results/tiny/features_shards/{VIEW}/2/train/manifest.json", options=("-n",))
    assert f"{VIEW} has no shard 2; there are 2, from 0" in run.stdout + run.stderr


def test_features_of_streamed_images_in_shards_are_those_of_stored_ones(tmp_path):
    """A folder of images through the whole workflow."""
    view, rng = "tiny/leaves-8px", np.random.default_rng(0)
    for number in range(150):
        path = tmp_path / "leaves" / ("train" if number % 3 else "test") / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 9 + number, 3), np.uint8)).save(path)
    found = []
    for options in ({}, {"store": "stream"}, {"store": "stream", "shards": 2}):
        project = Project.fresh(tmp_path / str(len(found)))
        overlay = yaml.safe_load(project.read("tiny.yaml"))
        overlay["datasets"]["leaves"] = {"source": "imagefolder", "path": str(tmp_path / "leaves"), **options}
        overlay["features"], overlay["resources"]["threads"] = {"batch_size": 32}, 2
        (project.folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
        ran(project, f"results/tiny/metrics/{view}.parquet")
        contents = project.contents(f"results/tiny/features/{view}")
        found.append({name: data for name, data in contents.items() if name.endswith(".npy")})
        pixels = project.folder / "results/tiny/images/leaves-8px/train/arrays/images.npy"
        assert pixels.exists() == (not options)
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 24
