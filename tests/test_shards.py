"""Shards and streamed images in the workflow: features are those of one job and of stored images."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from PIL import Image
from project import Project

pytestmark = pytest.mark.slow

FEATURES = "results/tiny/features/tiny/leaves-8px"
SHARDS = "results/tiny/features_shards/tiny/leaves-8px"
METRICS = "results/tiny/metrics/tiny/leaves-8px.parquet"


def test_streamed_shards_of_a_resumed_run_are_what_one_job_makes_of_stored_images(tmp_path):
    rng, found = np.random.default_rng(0), []
    for number in range(150):
        path = tmp_path / "leaves" / ("train" if number % 3 else "test") / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 9 + number, 3), np.uint8)).save(path)
    project = Project.small(tmp_path / "p")
    for options in ({}, {"store": "stream"}, {"store": "stream", "shards": 3}):
        overlay = yaml.safe_load(project.read("tiny.yaml"))
        overlay["datasets"]["leaves"] = {"source": "imagefolder", "path": str(tmp_path / "leaves"), **options}
        overlay["features"], overlay["resources"]["threads"] = {"batch_size": 32}, 2
        (project.folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
        if "shards" in options:  # as if the run had ended after one of them
            assert project.run(f"{SHARDS}/1/train/manifest.json").returncode == 0
            assert project.planned(METRICS) == {"features_shard": 2, "features_joined": 1, "metrics": 1}
        run = project.run(METRICS)
        assert run.returncode == 0, run.stdout + run.stderr
        contents = project.contents(FEATURES)
        manifests = [
            json.loads(contents.pop(f"{FEATURES}/{split}/manifest.json")) for split in ("train", "test")
        ]
        stamps = [manifest.pop("stamp") for manifest in manifests]
        found.append([manifests, {name: data for name, data in contents.items() if name.endswith(".npy")}])
        pixels = project.folder / "results/tiny/images/leaves-8px/train/arrays/images.npy"
        assert pixels.exists() == (not options)
    assert found[0] == found[1] == found[2]
    assert len(found[0][1]) == 24
    assert {"features_shard", "features_joined"} <= {
        rule for made in stamps[0]["made_with"] for rule in made["rules"]
    }
    assert not list((project.folder / SHARDS).rglob("*.npy"))
    assert not project.planned(METRICS)

    # a change of code that altered no result can be adopted, although the shards are gone
    path = project.folder / "nctransfer/features/extract.py"
    path.write_text(path.read_text() + "\nX = 1\n")
    assert project.planned(METRICS) == {"features_shard": 3, "features_joined": 1, "metrics": 1}
    command = "-m nctransfer.dag.adopt --configfile tiny.yaml --yes --reason Nothing"
    subprocess.run([sys.executable, *command.split()], cwd=project.folder, check=True, capture_output=True)
    assert not project.planned(METRICS)
