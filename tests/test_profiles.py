"""Profiles: each complete, alike in what decides about reruns, and able to plan."""

import os
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from project import ROOT, Project

PROFILES = sorted(path.name for path in (ROOT / "profiles").iterdir())
SHARED = ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete", "scheduler")
VIEW = "digits59.40pc.test10pc-8px"
CLUSTERS = sorted(set(PROFILES) - {"default"})
KUBERNETES = ("--workflow-profile", "profiles/kubernetes", "--latency-wait", "1")
KUBECTL = """#!{python}
import json, subprocess, sys
from pathlib import Path
import yaml
jobs = Path({folder!r})
verb, *words = sys.argv[1:]
if verb == "create":
    job = yaml.safe_load(sys.stdin)
    container = job["spec"]["template"]["spec"]["containers"][0]
    name = f"job.batch/{{job['metadata']['generateName']}}{{len(list(jobs.glob('*.json')))}}"
    done = subprocess.run(container["command"], cwd=container["workingDir"])
    state = "Complete" if done.returncode == 0 else "Failed"
    (jobs / (name.rpartition("/")[2] + ".json")).write_text(json.dumps({{"state": state, "job": job}}))
    print(name)
elif verb == "get":
    found = jobs / (words[0].rpartition("/")[2] + ".json")
    if found.exists():
        print(found.stem, json.loads(found.read_text())["state"])
"""


def profile(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    return Project.fresh(tmp_path_factory.mktemp("profiles") / "p")


def test_every_profile_is_tested():
    assert PROFILES == ["default", "kubernetes", "slurm"]


@pytest.mark.parametrize("key", SHARED)
def test_what_decides_about_reruns_is_the_same_everywhere(key):
    assert len({str(profile(name)[key]) for name in PROFILES}) == 1


@pytest.mark.parametrize("key", ["groups", "group-components", "retries", "resources", "set-resource-scopes"])
def test_clusters_share_how_jobs_go_together(key):
    first, *others = (profile(name)[key] for name in CLUSTERS)
    assert all(other == first for other in others)


def test_only_one_gpu_job_at_a_time_on_a_machine_unless_told_otherwise():
    assert profile("default")["resources"] == {"gpu": 1}


@pytest.mark.parametrize("name", CLUSTERS)
def test_clusters_retry_and_group_rules_that_there_are(name):
    found = profile(name)
    rules = set(
        re.findall(
            r"^rule (\w+):", "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk")), re.M
        )
    )
    assert set(found["groups"]) <= rules
    assert set(found["groups"].values()) == set(found["group-components"])
    assert found["retries"] > 0
    # a limit within a submission, none between submissions
    assert found["set-resource-scopes"]["gpu"] == "local"


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_profile_plans_the_whole_paper(project, name):
    run = project.run("all", options=("-n", "--workflow-profile", f"profiles/{name}"), overlay=None)
    assert run.returncode == 0, run.stdout + run.stderr
    submissions = len(re.findall(r"^Job \d+:", run.stdout, re.M)) + run.stdout.count("Group job")
    total = int(re.search(r"^total +(\d+)", run.stdout, re.M)[1])
    assert submissions < total / 2


@pytest.fixture
def kubernetes(tmp_path, monkeypatch) -> Path:
    """A kubectl that runs jobs here; returns the folder where it notes them."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "jobs").mkdir()
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.write_text(KUBECTL.format(python=sys.executable, folder=str(tmp_path / "jobs")))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("NCTRANSFER_IMAGE", "image:1")
    monkeypatch.setenv("NCTRANSFER_CLAIM", "claim")
    return tmp_path / "jobs"


@pytest.mark.slow
def test_kubernetes_jobs_ask_for_what_the_plan_says(project, kubernetes, monkeypatch):
    """What is submitted, watched and believed is the profile's."""
    options = (*KUBERNETES, "--set-resources", "images:gpu=1")
    target = "results/tiny/images/digits04.40pc.test10pc/train/manifest.json"

    monkeypatch.setenv("NCTRANSFER_MOUNT", "/elsewhere")
    run = project.run(target, options=(*options, "--retries", "0"))
    assert run.returncode != 0
    assert "is not below /elsewhere (NCTRANSFER_MOUNT)" in run.stdout + run.stderr

    monkeypatch.setenv("NCTRANSFER_MOUNT", str(project.folder.parent))
    run = project.run(target, options=options)
    assert run.returncode == 0, run.stdout + run.stderr
    (submitted,) = kubernetes.glob("*.json")
    spec = yaml.safe_load(submitted.read_text())["job"]["spec"]
    container = spec["template"]["spec"]["containers"][0]
    assert container["image"] == "image:1"
    assert container["resources"] == {
        "requests": {"cpu": "1", "memory": "500M"},
        "limits": {"memory": "500M", "nvidia.com/gpu": 1},
    }
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 300
    assert Path(project.folder / target).exists()


@pytest.mark.slow
def test_jobs_of_a_submission_use_its_gpu_one_after_the_other(tmp_path, kubernetes, monkeypatch):
    project = Project.fresh(tmp_path / "p")
    monkeypatch.setenv("NCTRANSFER_MOUNT", str(tmp_path))
    tables = [f"results/tiny/{stage}/tiny/{VIEW}.parquet" for stage in ("metrics", "scores")]
    run = project.run(*tables, f"results/tiny/probes/tiny/{VIEW}/manifest.json", options=KUBERNETES)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (
        len(list(kubernetes.glob("*.json"))) == 5
    )  # two data sets, a training, a model, all that is measured
    times = []
    for stage in ("features", "metrics", "scores", "probes"):
        lines = project.read(f"logs/tiny/{stage}/tiny/{VIEW}.log").splitlines()
        times.append((lines[0].split(" INFO")[0], lines[-1].split(" INFO")[0]))
    for before, after in pairwise(sorted(times)):
        assert before[1] <= after[0]
