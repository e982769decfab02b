"""Killed at any moment: the documented recovery ends with the same bytes, nothing half taken as whole."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from project import Project

pytestmark = pytest.mark.slow

FIGURE = "figures/tiny/fig3.pdf"
MOMENTS = 10
SEED = 20240501


def children(pid: int) -> list[int]:
    """All descendants of a process, deepest last."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            below = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in below:
            found += [child, *children(child)]
    return found


def scripts_of(pid: int) -> list[int]:
    """Descendants that run a rule's script."""
    running = []
    for child in children(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if any("/.snakemake/scripts/" in word and word.endswith(".py") for word in words[:3]):
            running.append(child)
    return running


def kill(pids: list[int]) -> int:
    """Kill processes; returns how many there still were."""
    found = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            found += 1
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Results of a run that nobody disturbs, and how long it took."""
    project = Project.fresh(tmp_path_factory.mktemp("undisturbed") / "p")
    start = time.monotonic()
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr
    return project.contents("results", "figures"), time.monotonic() - start


def started(project: Project) -> subprocess.Popen:
    return subprocess.Popen(
        project.command(FIGURE), cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def recover(project: Project) -> None:
    """The recovery that the README documents."""
    subprocess.run(
        [*project.command(FIGURE)[:-2], "--unlock"], cwd=project.folder, check=True, capture_output=True
    )
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("victim", ["script", "snakemake with its children"])
def test_a_killed_run_ends_like_an_undisturbed_one(undisturbed, tmp_path, victim, moment):
    expected, duration = undisturbed
    project = Project.fresh(tmp_path / "p")
    when = random.Random(f"{SEED} {victim} {moment}").uniform(0.05, 0.95) * duration
    process = started(project)
    time.sleep(when)
    if victim == "script":
        while process.poll() is None and not (running := scripts_of(process.pid)):
            time.sleep(0.02)  # between two jobs
        hit = kill(running) if process.poll() is None else 0
        failed = process.wait(timeout=120) != 0
        assert failed == bool(hit)  # a killed script ends the run; nothing else does
    else:
        below = children(process.pid)
        process.kill()
        kill(below)
        process.wait(timeout=10)
    recover(project)
    found = project.contents("results", "figures")
    assert {name for name in found if ".partial-" in name} == set()
    assert found == expected
    shutil.rmtree(project.folder)
