"""Killed or started twice at any moment: the same command again ends with the same bytes."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from project import Project

from nctransfer.runtime import fork_server

pytestmark = pytest.mark.slow

FIGURE = "figures/tiny/fig3.pdf"
MOMENTS = 20
KILLS = 4  # of one run
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
    project = Project.small(tmp_path_factory.mktemp("undisturbed") / "p")
    start = time.monotonic()
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr
    return project, project.contents("results", "figures"), time.monotonic() - start


def started(project: Project, environment: dict[str, str] | None = None) -> subprocess.Popen:
    """A run in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        project.command(FIGURE),
        cwd=project.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # a shell has what it starts in the background ignore Ctrl-C, these tests perhaps
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def under_way(project: Project, wait: float) -> subprocess.Popen:
    """A run that is at work after so many seconds; one that is done by then is made anew, and hit earlier."""
    process = started(project)
    time.sleep(wait)
    while process.poll() is not None:
        output, _ = process.communicate()
        assert process.returncode == 0, output
        shutil.rmtree(project.folder)
        Project.small(project.folder)
        wait *= 0.7
        process = started(project)
        time.sleep(wait)
    return process


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


def chance(*names: object) -> random.Random:
    return random.Random(f"{SEED} {names}")


def all_gone(project: Project) -> None:
    deadline = time.monotonic() + SECONDS
    while (left := workers(project)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


# Each chain is one run that is ended several times, a bit further each time: starting takes a third of the time.
@pytest.mark.parametrize("chain", range(MOMENTS // KILLS))
@pytest.mark.parametrize("victim", ["process group", "snakemake alone"])
def test_a_run_killed_again_and_again_ends_like_an_undisturbed_one(undisturbed, tmp_path, victim, chain):
    _, expected, duration = undisturbed
    project = Project.small(tmp_path / "p")
    for moment in range(KILLS):
        process = under_way(project, chance(victim, chain, moment).uniform(0.05, 0.75) * duration)
        if victim == "process group":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()
        all_gone(project)
        all_whole(project, expected)
    same_command_again(project, expected)


def test_nobody_need_wait_before_typing_the_command_again(undisturbed, tmp_path):
    _, expected, duration = undisturbed
    project = Project.small(tmp_path / "p")
    for moment in range(3):
        process = under_way(project, chance("at once", moment).uniform(0.3, 0.75) * duration)
        process.kill()
        process.wait()
    same_command_again(project, expected)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_from_the_terminal_and_started_again(undisturbed, tmp_path, number):
    _, expected, duration = undisturbed
    project = Project.small(tmp_path / "p")
    for moment in range(3):
        process = under_way(project, chance(number, moment).uniform(0.3, 0.75) * duration)
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


@pytest.mark.parametrize("victims", ["all", "the youngest"])  # which is a job, if one runs
def test_a_killed_script_ends_the_run(undisturbed, tmp_path, victims):
    _, expected, duration = undisturbed
    project = Project.small(tmp_path / "p")
    hit = 0
    for moment in range(3):
        process = under_way(project, chance(victims, moment).uniform(0.1, 0.75) * duration)
        running = workers(project)
        while process.poll() is None and not running:  # between two jobs
            time.sleep(0.02)
            running = workers(project)
        if victims == "the youngest":
            running = sorted(running, key=lambda worker: worker.info["create_time"])[-1:]
        before = hit
        for worker in running if process.poll() is None else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.kill()
                hit += 1
        process.communicate(timeout=120)
        assert process.returncode == 0 or hit > before  # nothing else ends it; a script may have been done
        all_whole(project, expected)
    assert hit
    same_command_again(project, expected)


@pytest.fixture
def jobs_server(tmp_path) -> Iterator[dict[str, str]]:
    """The environment of runs that share a server of jobs, which is loaded once."""
    (tmp_path / "s").mkdir()
    environment = os.environ | {fork_server.SOCKET: str(tmp_path / "s" / "jobs")}
    command = [sys.executable, fork_server.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True) as server:
        yield environment
        server.stdin.close()


@pytest.mark.timeout(1800)
def test_of_two_runs_that_start_together_one_is_told_what_to_do(undisturbed, tmp_path, jobs_server):
    finished, expected, _ = undisturbed
    project = finished.clone(tmp_path / "p")
    for _ in range(MOMENTS):
        for name in Path(project.folder / "figures/tiny").glob("fig3.*"):
            name.unlink()
        both = [started(project, jobs_server), started(project, jobs_server)]
        outputs = [process.communicate(timeout=120)[0] for process in both]
        codes = [process.returncode for process in both]
        assert sorted(codes) == [0, 1], outputs
        refused = outputs[codes.index(1)]
        assert f"another run is at work there: process {both[codes.index(0)].pid} on" in refused
        assert "Wait for it to end, or stop it" in refused
        assert "Traceback" not in refused
        assert project.contents("results", "figures") == expected
