"""Two workflows in two folders on one machine with two (simulated) GPUs: one job a device."""

import os
import re
import subprocess
import time
import uuid
from datetime import datetime
from itertools import pairwise

import pytest
import yaml
from project import Project

from nctransfer.runtime.gpus import FOLDER, _make
from nctransfer.runtime.locks import Lock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MODELS = [f"tiny{index}" for index in range(4)]
TIME = r"^(\S+ \S+) INFO \S+: "


def with_four_models(project: Project) -> Project:
    overlay = yaml.safe_load(project.read("tiny.yaml"))
    del overlay["figures"]
    tiny = overlay["models"].pop("tiny")
    overlay["models"] = dict.fromkeys(MODELS, tiny)
    (project.folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
    return project


@pytest.fixture
def devices():
    """Names of two GPUs that no driver knows; whoever lists them means them."""
    names = [f"simulated-{uuid.uuid4()}" for _ in range(2)]
    yield names
    for name in names:
        (FOLDER / f"{name}.lock").unlink(missing_ok=True)


def everybody_waits(projects: list[Project]) -> None:
    """Wait until all eight jobs wait for a device, so that they meet."""
    logs = [project.folder / f"logs/tiny/pretrain/{model}.log" for project in projects for model in MODELS]
    deadline = time.monotonic() + 300
    while not all(log.exists() and "waiting for a GPU" in log.read_text() for log in logs):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_never_two_jobs_on_one_device(tmp_path, devices):
    projects = [with_four_models(Project.fresh(tmp_path / name)) for name in ("a", "b")]
    held_here = [Lock(FOLDER / f"{name}.lock") for name in devices]
    _make(FOLDER)
    assert all(lock.take() for lock in held_here)
    targets = [f"results/tiny/pretraining/{model}/manifest.json" for model in MODELS]
    runs = []
    for project in projects:
        typed = project.command(*targets)
        cut = typed.index("--")
        runs.append(
            subprocess.Popen(
                [*typed[:cut], "-j4", "--resources", "gpu=4", *typed[cut:]],
                cwd=project.folder,
                env=os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(devices)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    everybody_waits(projects)
    for lock in held_here:
        lock.release()
    for run in runs:
        output, _ = run.communicate(timeout=400)
        assert run.returncode == 0, output
    held: dict[str, list[tuple[datetime, datetime]]] = {name: [] for name in devices}
    for project in projects:
        for model in MODELS:
            log = project.read(f"logs/tiny/pretrain/{model}.log")
            claimed = re.search(TIME + r"GPU (\S+) claimed$", log, re.MULTILINE)
            done = re.search(TIME + "done$", log, re.MULTILINE)
            times = (datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S,%f") for found in (claimed, done))
            held[claimed[2]].append(tuple(times))
    assert sum(map(len, held.values())) == 8
    for intervals in held.values():
        assert intervals  # both devices are used
        intervals.sort()
        for before, after in pairwise(intervals):
            assert before[1] <= after[0]
