"""Killed or started twice at any moment: the same command again ends with the same bytes."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from project import Project

pytestmark = pytest.mark.slow

FIGURE = "figures/tiny/fig3.pdf"
MOMENTS = 20
SEED = 20240501
# A worker may live so long after its Snakemake was killed.
SECONDS = 10


def workers(project: Project) -> list[psutil.Process]:
    """Processes that run a rule's script in the project's folder: scripts, jobs, and the server of jobs."""
    places = (f"{project.folder}/.snakemake/scripts/", f"{project.folder}/nctransfer/runtime/fork_server.py")
    found = []
    for process in psutil.process_iter(["cmdline", "create_time"]):
        words = process.info["cmdline"] or []
        if any(word.startswith(places) for word in words[:3]):
            found.append(process)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nobody disturbs: its project, results, and how long it took."""
    project = Project.fresh(tmp_path_factory.mktemp("undisturbed") / "p")
    start = time.monotonic()
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr
    return project, project.contents("results", "figures"), time.monotonic() - start


def started(project: Project) -> subprocess.Popen:
    """A run in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        project.command(FIGURE),
        cwd=project.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # a shell has what it starts in the background ignore Ctrl-C, these tests perhaps
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def all_whole(project: Project, expected: dict[str, bytes]) -> None:
    """Nothing under a final name but what an undisturbed run leaves there."""
    for name, contents in project.contents("results", "figures").items():
        if ".partial-" not in name and "/checkpoints/" not in name:
            assert contents == expected[name], name


def same_command_again(project: Project, expected: dict[str, bytes]) -> None:
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert project.contents("results", "figures") == expected
    shutil.rmtree(project.folder)


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("victim", ["process group", "snakemake alone"])
def test_a_killed_run_ends_like_an_undisturbed_one(undisturbed, tmp_path, victim, moment):
    _, expected, duration = undisturbed
    project = Project.fresh(tmp_path / "p")
    process = started(project)
    time.sleep(random.Random(f"{SEED} {victim} {moment}").uniform(0.05, 0.95) * duration)
    if victim == "process group":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    killed = time.monotonic()
    process.wait()
    while (left := workers(project)) and time.monotonic() < killed + SECONDS:
        time.sleep(0.1)
    assert not left
    all_whole(project, expected)
    same_command_again(project, expected)


@pytest.mark.parametrize("moment", range(3))
def test_nobody_need_wait_before_typing_the_command_again(undisturbed, tmp_path, moment):
    _, expected, duration = undisturbed
    project = Project.fresh(tmp_path / "p")
    process = started(project)
    time.sleep(random.Random(f"{SEED} at once {moment}").uniform(0.3, 0.8) * duration)
    process.kill()
    process.wait()
    same_command_again(project, expected)


@pytest.mark.parametrize("moment", range(3))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_from_the_terminal_and_started_again(undisturbed, tmp_path, number, moment):
    _, expected, duration = undisturbed
    wait = random.Random(f"{SEED} {number} {moment}").uniform(0.3, 0.8) * duration
    project = Project.fresh(tmp_path / "p")
    process = started(project)
    time.sleep(wait)
    while process.poll() is not None:  # done already: the machine was busier when the duration was taken
        output, _ = process.communicate()
        assert process.returncode == 0, output
        shutil.rmtree(project.folder)
        project, wait = Project.fresh(tmp_path / "p"), 0.7 * wait
        process = started(project)
        time.sleep(wait)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    if number == signal.SIGTERM:
        assert "Traceback" not in output
    # Ctrl-C in a script's second line, which is Snakemake's own and takes tenths of a second, shows one
    scripts = rf'File "{project.folder}/\.snakemake/scripts/\S+", line (\d+)'
    assert set(re.findall(scripts, output)) <= {"2"}
    assert f'File "{project.folder}/nctransfer' not in output
    assert not workers(project)
    all_whole(project, expected)
    same_command_again(project, expected)


@pytest.mark.parametrize("moment", range(6))
def test_a_killed_script_ends_the_run(undisturbed, tmp_path, moment):
    _, expected, duration = undisturbed
    project = Project.fresh(tmp_path / "p")
    process = started(project)
    time.sleep(random.Random(f"{SEED} script {moment}").uniform(0.1, 0.9) * duration)
    while process.poll() is None and not (running := workers(project)):
        time.sleep(0.02)  # between two jobs
    # all, or the youngest alone: that is a job, if one runs
    if moment % 2:
        running = sorted(running, key=lambda worker: worker.info["create_time"])[-1:]
    hit = 0
    for worker in running if process.poll() is None else ():
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
            hit += 1
    process.communicate(timeout=120)
    assert process.returncode == 0 or hit  # nothing else ends it; a script may have been done already
    all_whole(project, expected)
    same_command_again(project, expected)


@pytest.mark.timeout(1800)
def test_of_two_runs_that_start_together_one_is_told_what_to_do(undisturbed, tmp_path):
    finished, expected, _ = undisturbed
    project = finished.clone(tmp_path / "p")
    for _ in range(MOMENTS):
        for name in Path(project.folder / "figures/tiny").glob("fig3.*"):
            name.unlink()
        both = [started(project), started(project)]
        outputs = [process.communicate(timeout=120)[0] for process in both]
        codes = [process.returncode for process in both]
        assert sorted(codes) == [0, 1], outputs
        refused = outputs[codes.index(1)]
        assert f"another run is at work there: process {both[codes.index(0)].pid} on" in refused
        assert "Wait for it to end, or stop it" in refused
        assert "Traceback" not in refused
        assert project.contents("results", "figures") == expected
