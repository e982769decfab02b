"""The workflow on a real Slurm, one node on the loopback interface with two GPUs that are none."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from project import ROOT, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SCRIPT = ROOT / "tests/slurm/loopback.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
# A cluster without a database.
FAST = (
    "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5",
)  # fmt: skip
# Snakemake, but it looks at its jobs every second, where it would wait for up to minutes.
SNAKEMAKE = """
import asyncio, shutil, runpy, sys
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
RemoteExecutor.sleep = lambda self: asyncio.sleep(1)
sys.argv[0] = shutil.which("snakemake")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Cluster:
    """A running cluster; its commands see nothing else."""

    def __init__(self, folder: Path) -> None:
        self.environment = os.environ | {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def ask(self, *command: str) -> str:
        run = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        return run.stdout

    def jobs(self, *fields: str) -> list[dict[str, str]]:
        """All jobs that the cluster has seen; ``comment`` says what each does."""
        format_ = ",".join(f"{field}:200" for field in fields)
        rows = self.ask("squeue", "--states=all", "--noheader", "-O", format_).splitlines()
        return [
            {field: row[200 * place : 200 * (place + 1)].strip() for place, field in enumerate(fields)}
            for row in rows
        ]

    def idle(self) -> bool:
        return {job["state"] for job in self.jobs("state")} <= {"COMPLETED", "FAILED", "CANCELLED"}

    def start(self, project: Project, *targets: str, overlay: str) -> subprocess.Popen:
        """Run targets through the profile, in the background."""
        typed = ["--workflow-profile", "profiles/slurm", *FAST, "--nocolor"]
        return subprocess.Popen(
            [sys.executable, "-c", SNAKEMAKE, *typed, "--configfile", overlay, "--", *targets],
            cwd=project.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if missing and not os.environ.get("NCTRANSFER_REQUIRE_SLURM"):
        pytest.skip(f"no Slurm here ({', '.join(missing)} missing): apt-get install slurm-wlm munge")
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # a socket's path must be short
    try:
        subprocess.run([SCRIPT, "start", folder], check=True)
        yield Cluster(folder)
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def ended(run: subprocess.Popen) -> str:
    output, _ = run.communicate(timeout=500)
    assert run.returncode == 0, output
    return output


@contextmanager
def killed_at_the_end(*runs: subprocess.Popen) -> Iterator[None]:
    try:
        yield
    finally:
        for run in runs:
            run.kill()


def until(condition, run: subprocess.Popen, seconds: float = 300.0):
    """Wait for something that happens while a run is at work."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def training(epochs: int) -> dict:
    """An overlay of three trainings that last a while."""
    overlay = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())
    tiny = overlay["models"].pop("tiny")
    tiny["training"]["epochs"] = epochs
    overlay["models"] = {f"tiny{index}": dict(tiny) for index in range(3)}
    overlay["resources"] = {"threads": 1, "mem_mb": 700, "runtime": 7}
    del overlay["figures"]
    return overlay


def test_two_jobs_hold_two_gpus_while_a_third_waits(cluster, tmp_path):
    project = Project.small(tmp_path / "p")
    (project.folder / "three.yaml").write_text(yaml.safe_dump(training(400)))
    targets = [f"results/tiny/pretraining/tiny{index}/manifest.json" for index in range(3)]
    run = cluster.start(project, *targets, overlay="three.yaml")

    def trainings() -> dict[str, list[dict[str, str]]]:
        by_state: dict[str, list[dict[str, str]]] = {}
        for job in cluster.jobs("state", "comment", "tres-per-job", "minmemory", "timelimit", "reason"):
            if "pretrain" in job["comment"]:
                by_state.setdefault(job["state"], []).append(job)
        return by_state

    def two_run_and_one_waits() -> dict[str, list[dict[str, str]]] | None:
        found = trainings()
        assert len(found.get("RUNNING", [])) <= 2
        both = len(found.get("RUNNING", [])) == 2 and len(found.get("PENDING", [])) == 1
        return found if both and found["PENDING"][0]["reason"] == "Resources" else None

    with killed_at_the_end(run):
        found = until(two_run_and_one_waits, run)
        for job in found["RUNNING"] + found["PENDING"]:
            assert (job["tres-per-job"], job["minmemory"], job["timelimit"]) == ("gres:gpu:1", "700M", "7:00")
        ended(run)
    logs = [project.read(f"logs/tiny/pretrain/tiny{index}.log") for index in range(3)]
    given = re.findall(r"GPU (\S+), given by the scheduler", "".join(logs))
    assert len(given) == 3
    assert set(given) == {"0", "1"}


def test_four_shards_equal_one_job_to_the_last_bit(cluster, tmp_path):
    target = "results/tiny/features/tiny/digits59.40pc.test10pc-8px/train/manifest.json"
    stores = []
    for shards in (1, 4):
        project = Project.small(tmp_path / str(shards))
        overlay = yaml.safe_load((ROOT / "tests/tiny.yaml").read_text())
        overlay["datasets"]["digits59"]["shards"], overlay["features"] = shards, {"batch_size": 30}
        (project.folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
        run = cluster.start(project, target, overlay="tiny.yaml")
        with killed_at_the_end(run):
            ended(run)
        stores.append(project.contents("results/tiny/features"))
        assert not any((project.folder / "results").glob("*/features_shards/**/*.npy"))
    submitted = [job["comment"] for job in cluster.jobs("comment") if "features_shard" in job["comment"]]
    assert len(submitted) == 4
    arrays = [{name: data for name, data in store.items() if name.endswith(".npy")} for store in stores]
    assert arrays[0] == arrays[1]
    assert len(arrays[0]) == 24
    one, four = ({**json.loads(store[target]), "stamp": None} for store in stores)
    assert one == four


def test_a_job_that_ran_out_of_memory_gets_more(cluster, tmp_path):
    project = Project.small(tmp_path / "p")
    project.edit(
        "workflow/scripts/model.py",
        "with job(snakemake) as task:\n",
        "with job(snakemake) as task:\n    if snakemake.resources.mem_mb < 1000:\n        raise MemoryError\n",
    )
    run = cluster.start(project, "results/tiny/models/tiny/manifest.json", overlay="tiny.yaml")
    with killed_at_the_end(run):
        output = ended(run)
    fetching = [
        job
        for job in cluster.jobs("jobid", "comment", "minmemory", "timelimit", "state")
        if "rule_model" in job["comment"]
    ]
    fetching = sorted(fetching, key=lambda job: int(job["jobid"]))[-2:]
    assert [(job["minmemory"], job["timelimit"], job["state"]) for job in fetching] == [
        ("500M", "5:00", "FAILED"),
        ("1000M", "10:00", "COMPLETED"),
    ]
    assert "Trying to restart job" in output


def test_a_figure_with_a_job_preempted_equals_a_local_run(cluster, tmp_path):
    figure = "figures/tiny/fig3.pdf"
    local, project = Project.small(tmp_path / "local"), Project.small(tmp_path / "p")
    for folder in (local, project):  # so long that it can be interrupted
        folder.edit("tiny.yaml", "training: {epochs: 2,", "training: {epochs: 400, snapshot_every: 200,")
    run = local.run(figure, options=("--resources", "gpu=1"))
    assert run.returncode == 0, run.stdout + run.stderr

    run = cluster.start(project, figure, overlay="tiny.yaml")
    log = project.folder / "logs/tiny/pretrain/tiny.log"

    def training_job() -> dict[str, str]:
        jobs = cluster.jobs("jobid", "comment", "state", "restartcnt")
        found = [job for job in jobs if "pretrain" in job["comment"]]
        return max(found, key=lambda job: int(job["jobid"]), default={"restartcnt": "0"})

    def started_again() -> bool:
        """Slurm lets two minutes pass before it starts a job again, unless told as soon as the job has ended."""
        if (job := training_job())["state"] == "PENDING":
            now = ["scontrol", "update", f"JobId={job['jobid']}", "StartTime=now"]
            subprocess.run(now, env=cluster.environment, check=False)  # it may have started meanwhile
        return (
            log.exists() and "continues after epoch" in log.read_text()
        )  # Snakemake removes it at the start

    with killed_at_the_end(run):
        until(lambda: log.exists() and "epoch 1:" in log.read_text(), run)
        cluster.ask("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
        until(lambda: training_job()["restartcnt"] == "1", run)
        first = log.read_text()
        until(started_again, run)
        output = ended(run)
    assert "stopped by SIGTERM" in first
    assert "Trying to restart job" not in output  # Slurm started it again, not Snakemake
    for folder in ("results", "figures"):
        assert project.contents(folder) == local.contents(folder)
    again = subprocess.run(
        ["snakemake", "--workflow-profile", "profiles/slurm", "-n", "--configfile", "tiny.yaml", "--", figure],
        cwd=project.folder, env=cluster.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Nothing to be done" in again.stdout + again.stderr
