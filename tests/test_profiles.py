"""Profiles: each complete, alike in what decides about reruns, and able to plan."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from project import ROOT, Project

PROFILES = sorted(path.name for path in (ROOT / "profiles").iterdir())
SHARED = ("rerun-triggers", "max-checksum-file-size", "rerun-incomplete", "scheduler")
VIEW = "digits59.40pc.test10pc-8px"
CLUSTERS = sorted(set(PROFILES) - {"default"})


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


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERS)
def test_a_profile_plans_the_whole_paper(project, name, tmp_path):
    options = ["-n", "--workflow-profile", f"profiles/{name}"]
    if name == "kubernetes":  # the object store's stand-in
        options += ["--default-storage-provider", "fs", "--default-storage-prefix", str(tmp_path)]
    run = project.run("all", options=tuple(options), overlay=None)
    assert run.returncode == 0, run.stdout + run.stderr
    submissions = len(re.findall(r"^Job \d+:", run.stdout, re.M)) + run.stdout.count("Group job")
    total = int(re.search(r"^total +(\d+)", run.stdout, re.M)[1])
    assert submissions < total / 2


class Cluster(ThreadingHTTPServer):
    """As much of Kubernetes as Snakemake's executor asks for; pods are processes in empty folders."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.folder = folder
        self.jobs: dict[str, dict] = {}
        self.pods: dict[str, subprocess.Popen] = {}

    def start(self, job: dict) -> None:
        """Run the job of a pod where nothing but the image's software is."""
        name = job["metadata"]["name"]
        place = self.folder / name
        place.mkdir()
        (container,) = job["spec"]["template"]["spec"]["containers"]
        log = (self.folder / f"{name}.log").open("w")
        self.jobs[name] = job
        self.pods[name] = subprocess.Popen(
            [*container["command"], *container["args"]], cwd=place, stdout=log, stderr=subprocess.STDOUT
        )

    def status(self, name: str) -> dict:
        code = self.pods[name].poll()
        return {} if code is None else {"failed": 1} if code else {"succeeded": 1}


class Request(BaseHTTPRequestHandler):
    """Creates, shows and forgets secrets and jobs."""

    server: Cluster

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/jobs"):
            self.server.start(body)
        self.answer(body)

    def do_GET(self) -> None:
        if "/pods" in self.path:
            self.answer({"items": []})
        else:
            name = self.path.split("/")[-2]  # .../jobs/NAME/status
            self.answer(self.server.jobs[name] | {"status": self.server.status(name)})

    def do_DELETE(self) -> None:
        self.answer({})

    def answer(self, body: dict) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Iterator[Cluster]:
    (tmp_path / "pods").mkdir()
    with Cluster(tmp_path / "pods") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = f"http://127.0.0.1:{server.server_port}"
        settings = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": where}}],
            "users": [{"name": "me", "user": {}}],
        }
        (tmp_path / "kube.yaml").write_text(yaml.safe_dump(settings))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kube.yaml"))
        # the image has Python and the packages; Snakemake would install its storage plugin
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/pip").symlink_to("/bin/true")
        path = [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
        monkeypatch.setenv("PATH", os.pathsep.join(path))
        yield server
        server.shutdown()


@pytest.fixture
def project_in_git(tmp_path) -> Project:
    """A project whose files git knows, which Snakemake sends to the pods."""
    project = Project.fresh(tmp_path / "p")
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=project.folder, check=True)
    return project


@pytest.mark.slow
def test_pods_share_nothing_but_the_store_and_use_a_gpu_in_turn(
    file_storage, project_in_git, cluster, tmp_path
):
    project = project_in_git
    store = tmp_path / "store"
    # in place of an object store
    options = ("--workflow-profile", "profiles/kubernetes", "--default-storage-provider", "fs", "--default-storage-prefix", str(store), "--seconds-between-status-checks", "1", "--retries", "0")  # fmt: skip
    tables = [f"results/tiny/{stage}/tiny/{VIEW}.parquet" for stage in ("metrics", "classifier_metrics")]
    run = project.run(*tables, options=options)
    logs = "".join(path.read_text() for path in cluster.folder.glob("*.log"))
    assert run.returncode == 0, run.stdout + run.stderr + logs
    # two data sets, a training, a model, all that is measured
    assert len(cluster.jobs) == 5
    assert not (project.folder / "results").exists()
    again = project.run(*tables, options=(*options, "-n"))
    assert "Nothing to be done" in again.stdout + again.stderr
    here = Project.fresh(tmp_path / "here")
    assert here.run(*tables).returncode == 0
    shutil.rmtree(here.folder / "results/tiny/checkpoints")
    assert Project(store).contents("results") == here.contents("results")

    # jobs of a submission use its GPU one after the other
    times = []
    for stage in ("features", "metrics", "probes", "classifier_metrics"):
        lines = (store / f"logs/tiny/{stage}/tiny/{VIEW}.log").read_text().splitlines()
        times.append((lines[0].split(" INFO")[0], lines[-1].split(" INFO")[0]))
    for before, after in pairwise(sorted(times)):
        assert before[1] <= after[0]

    resources = [
        job["spec"]["template"]["spec"]["containers"][0]["resources"] for job in cluster.jobs.values()
    ]
    assert {entry["limits"]["nvidia.com/gpu"] for entry in resources} == {"0", "1"}
    assert {entry["limits"]["memory"] for entry in resources} == {"500M"}
