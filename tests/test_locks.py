"""Locks: freed when their holder dies; one run of a study in a folder; one GPU for each job."""

import fcntl
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nctransfer.errors import NCTransferError
from nctransfer.runtime import gpus, signals, study_lock
from nctransfer.runtime.locks import Lock

PROCESSES = multiprocessing.get_context("fork")
UUIDS = ["GPU-aaaa1111", "GPU-aaaa2222", "GPU-bbbb3333"]


def hold(path: Path, shared: bool, ready) -> None:
    assert Lock(path).take(shared=shared)
    ready.set()
    time.sleep(60)


@pytest.fixture
def held_by(tmp_path):
    """Start a process that holds a lock until it is killed."""
    holders = []

    def start(path: Path, shared: bool = False):
        ready = PROCESSES.Event()
        holder = PROCESSES.Process(target=hold, args=(path, shared, ready))
        holder.start()
        holders.append(holder)
        assert ready.wait(10)
        return holder

    yield start
    for holder in holders:
        holder.kill()
        holder.join()


# --- locks -----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_a_lock_is_free_once_its_holder_died(held_by, tmp_path, number):
    holder = held_by(tmp_path / "lock")
    assert not Lock(tmp_path / "lock").take()
    os.kill(holder.pid, number)
    assert Lock(tmp_path / "lock").take(seconds=5)


def test_shared_holders_go_together_and_keep_out_one_that_wants_it_alone(held_by, tmp_path):
    held_by(tmp_path / "lock", shared=True)
    mine = Lock(tmp_path / "lock")
    assert not mine.take()
    assert mine.take(shared=True)
    mine.release()
    mine.release()  # nothing happens


def test_no_link_is_followed_to_lock_a_file(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        Lock(tmp_path / "lock").take()
    assert not (tmp_path / "elsewhere").exists()


# --- runs ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / study_lock.FOLDER).mkdir(parents=True)
    (tmp_path / study_lock.SNAKEMAKE_LOCKS).mkdir()
    yield tmp_path
    study_lock.end()
    study_lock.leave()


def crashed(folder: Path, host: str, pid: int = 4711, study: str = "") -> Path:
    """What a run that was killed leaves."""
    record = {"pid": pid, "host": host, "since": "2024-05-01 12:00:00"}
    (folder / study_lock.FOLDER / f"{study or 'paper'}.json").write_text(json.dumps(record))
    left = folder / study_lock.SNAKEMAKE_LOCKS / "0.input.lock"
    left.write_text(f"results/{study + '/' if study else ''}images/digits/train/manifest.json\n")
    return left


def gone() -> int:
    """Number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def begin(folder: Path, study: str = "") -> list[str]:
    """Begin a run; what it says."""
    told: list[str] = []
    study_lock.begin(study, told.append, folder)
    return told


def test_a_second_run_is_told_who_is_at_work_and_what_to_do(folder, held_by):
    crashed(folder, socket.gethostname(), pid=os.getpid())
    held_by(folder / study_lock.FOLDER / "paper.run")
    words = rf"process {os.getpid()} on .*since 2024-05-01.*kill -INT {os.getpid()}.*same command again"
    with pytest.raises(NCTransferError, match=words):
        begin(folder)
    begin(folder, "other")  # another study's results are its own


@pytest.mark.parametrize("record", ["of a run that is gone", "damaged"])
def test_nobody_is_told_to_stop_who_is_not_at_work(folder, held_by, monkeypatch, record):
    crashed(folder, socket.gethostname(), pid=gone())
    if record == "damaged":
        (folder / study_lock.FOLDER / "paper.json").write_text("{damaged")
    monkeypatch.setattr(study_lock, "RECORD_SECONDS", 0.2)
    held_by(folder / study_lock.FOLDER / "paper.run")
    with pytest.raises(NCTransferError, match="another run is at work there") as caught:
        begin(folder)
    assert "kill" not in str(caught.value)


def test_what_a_killed_run_left_is_removed(folder):
    left = crashed(folder, socket.gethostname())
    assert "process 4711" in begin(folder)[0]
    assert not left.exists()
    assert json.loads((folder / study_lock.FOLDER / "paper.json").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("prefix", ["", "s3://bucket/results/", "/mnt/store/"])  # of a storage plugin
@pytest.mark.parametrize("study", ["", "mine"])
def test_beside_another_study_only_what_is_ones_own_is_removed(folder, held_by, study, prefix):
    left = crashed(folder, socket.gethostname(), study=study)
    left.write_text(prefix + left.read_text())
    others = folder / study_lock.SNAKEMAKE_LOCKS / "1.output.lock"
    others.write_text(f"{prefix}results/other/images/digits/train/manifest.json\n")
    held_by(folder / study_lock.FOLDER / "other.run")
    (folder / study_lock.FOLDER / "other.json").write_text(json.dumps({"host": socket.gethostname()}))
    begin(folder, study)
    assert not left.exists()
    assert others.exists()


@pytest.mark.parametrize(
    "why", ["this study on another machine", "another study on another machine", "nobody's"]
)
def test_locks_that_may_be_somebody_elses_stay(folder, why):
    left = crashed(folder, "elsewhere" if why.startswith("this") else socket.gethostname())
    if why.startswith("another"):
        left.write_text("results/other/images/digits/train/manifest.json\n")
        (folder / study_lock.FOLDER / "other.run").touch()
        (folder / study_lock.FOLDER / "other.json").write_text(json.dumps({"host": "elsewhere"}))
    if why == "nobody's":
        (folder / study_lock.FOLDER / "paper.json").write_text("{damaged")
    assert begin(folder) == []
    assert left.exists()


def test_a_run_waits_for_the_jobs_of_a_killed_one(folder, held_by, monkeypatch):
    job = held_by(folder / study_lock.FOLDER / "paper.jobs", shared=True)
    monkeypatch.setattr(study_lock, "ORPHAN_SECONDS", 0.3)
    with pytest.raises(NCTransferError, match=r"jobs of an earlier run are still at work.*scancel"):
        begin(folder)
    job.kill()
    monkeypatch.setattr(study_lock, "ORPHAN_SECONDS", 5.0)
    begin(folder)


def test_a_job_that_a_killed_run_left_in_a_queue_does_nothing_once_another_run_began(folder, monkeypatch):
    monkeypatch.chdir(folder)
    begin(Path())
    study_lock.join("")
    study_lock.leave()
    monkeypatch.setenv(study_lock.TOKEN, "of-the-killed-run")
    with pytest.raises(NCTransferError, match="another has begun since"):
        study_lock.join("")
    monkeypatch.delenv(study_lock.TOKEN)  # a cluster that passes no environment on
    study_lock.join("")


def test_a_file_system_without_such_locks_leaves_it_to_snakemake(folder, monkeypatch):
    def refuse(*arguments):
        raise OSError(95, os.strerror(95))

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.chdir(folder)
    assert begin(Path()) == []
    study_lock.join("")


def test_files_of_ones_own_are_locked_through_descriptors_that_can_write(tmp_path, monkeypatch):
    """NFS locks no others; another user's can only be read."""
    modes = []
    monkeypatch.setattr(
        "fcntl.flock", lambda descriptor, how: modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL))
    )
    assert Lock(tmp_path / "lock").take()
    assert modes[0] & os.O_ACCMODE == os.O_RDWR


def test_a_lock_on_a_file_that_was_deleted_meanwhile_is_none(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    monkeypatch.setattr("fcntl.flock", lambda descriptor, how: path.unlink())
    assert not Lock(path).take()


# --- devices ---------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with three GPUs, none claimed by this process."""
    monkeypatch.setattr(gpus, "installed", lambda: UUIDS)
    monkeypatch.setattr(gpus, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(gpus, "_held", None)
    yield tmp_path / "gpus"
    if gpus._held is not None:
        gpus._held.release()


def claim(environment: dict, folder: Path) -> str | None:
    """A claim as by another process: what was claimed before is kept elsewhere."""
    gpus._held = None
    return gpus.claim(1, environment, folder)


def test_each_claim_gets_a_device_of_its_own_and_sees_no_other(machine):
    environments = [{}, {}, {}]
    kept = []
    for environment in environments:
        claim(environment, machine)
        kept.append(gpus._held)
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments] == UUIDS
    kept[1].release()
    assert claim({}, machine) == UUIDS[1]
    for lock in kept:
        lock.release()


def test_a_job_claims_one_device_however_often_it_asks(machine):
    environment = {}
    assert gpus.claim(1, environment, machine) == gpus.claim(1, environment, machine) == UUIDS[0]


def test_a_claim_waits_until_a_device_is_free(machine, held_by):
    machine.mkdir()
    holder = held_by(machine / f"{UUIDS[0]}.lock")
    os.kill(holder.pid, signal.SIGSTOP)  # alive, though it does nothing
    killer = subprocess.Popen(
        [sys.executable, "-c", f"import os, time; time.sleep(1); os.kill({holder.pid}, 9)"]
    )
    start = time.monotonic()
    assert claim({"CUDA_VISIBLE_DEVICES": "0"}, machine) == UUIDS[0]
    assert time.monotonic() - start > 0.5
    killer.wait()


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        (None, UUIDS),
        (["2", "0"], [UUIDS[2], UUIDS[0]]),
        (["GPU-bbbb"], [UUIDS[2]]),
        (["MIG-1", "1"], ["MIG-1", UUIDS[1]]),
        (["1", "7", "0"], [UUIDS[1]]),  # as CUDA: nothing behind a name that is not known
        (["GPU-aaaa"], []),  # which of two?
        ([], []),
        (["1", "0", "1"], []),  # as CUDA: none if one is listed twice
        (["+1", "2gpus"], [UUIDS[1], UUIDS[2]]),
    ],
)
def test_which_devices_a_list_of_visible_ones_means(listed, found):
    assert gpus.usable(listed, UUIDS) == found


@pytest.mark.parametrize(
    ("text", "seen"),
    [("2,-1,0", 2), ("2, -2,0", 2), ("2,,0", 2), ("2,none,0", 2), (" 2 ", 2), ("-1,2", None), ("", None), (",2", None)],
)  # fmt: skip
def test_nothing_behind_an_entry_that_is_no_device_is_visible(machine, text, seen):
    assert claim({"CUDA_VISIBLE_DEVICES": text}, machine) == (None if seen is None else UUIDS[seen])


def test_without_a_driver_listed_names_stand_for_devices(machine, monkeypatch):
    monkeypatch.setattr(gpus, "installed", list)
    assert claim({"CUDA_VISIBLE_DEVICES": "0,1"}, machine) == "0"
    assert claim({}, machine) is None
    assert claim({"CUDA_VISIBLE_DEVICES": "-1"}, machine) is None


def test_what_a_scheduler_gave_is_kept(machine):
    environment = {"CUDA_VISIBLE_DEVICES": "1", "SLURM_JOB_ID": "7"}
    assert claim(environment, machine) is None
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    # a whole node, on which Snakemake runs jobs by itself
    several = {"CUDA_VISIBLE_DEVICES": "1,2", "SLURM_JOB_ID": "7"}
    assert claim(several, machine) == several["CUDA_VISIBLE_DEVICES"] == UUIDS[1]


def test_a_folder_of_locks_that_cannot_be_used_is_named(machine):
    machine.write_text("in the way")
    with pytest.raises(NCTransferError, match=r"gpus: GPUs cannot be claimed there \(Not a directory\)"):
        claim({}, machine)


def test_other_users_can_use_the_locks(machine, monkeypatch):
    before = os.umask(0o077)
    try:
        claim({}, machine)
    finally:
        os.umask(before)
    assert machine.stat().st_mode & 0o7777 == 0o1777
    assert (machine / f"{UUIDS[0]}.lock").stat().st_mode & 0o777 == 0o644


# --- lifetime --------------------------------------------------------------------------

JOB = """
import sys, time
sys.path.insert(0, {root!r})
from nctransfer.runtime import signals
signals.GRACE_SECONDS = 1.0
signals.watch()
signals.stop_in_order()
if {deaf}:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
open({ready!r}, "w").close()
try:
    time.sleep(60)
finally:
    open({ended!r}, "w").close()
"""
PARENT = """
import subprocess, sys
sys.path.insert(0, {root!r})
from nctransfer.runtime import signals
signals.announce()
print(subprocess.Popen([sys.executable, "-c", {job!r}]).pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("deaf", [False, True])
def test_a_job_ends_with_the_process_that_started_it(tmp_path, deaf):
    root = str(Path(signals.__file__).parents[2])
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    job = JOB.format(root=root, deaf=deaf, ready=str(ready), ended=str(ended))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(root=root, job=job)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    number = int(parent.stdout.readline())
    until(ready.exists)
    assert Path(f"/proc/{number}").exists()
    parent.kill()
    parent.wait()
    until(lambda: not alive(number))
    assert ended.exists() != deaf  # half-written files are removed, unless it had to be killed


def until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("announced", [None, "1 0 another-machine 1"])
def test_a_process_that_cannot_be_seen_is_not_watched(monkeypatch, announced):
    monkeypatch.delenv(signals.PARENT, raising=False)
    if announced:
        monkeypatch.setenv(signals.PARENT, announced)
    assert signals.watch() is None


@pytest.mark.parametrize("number", [gone, os.getpid])
def test_who_is_gone_before_the_job_looks_ends_it_too(monkeypatch, number):
    """Its number may be another process's by now."""
    monkeypatch.setenv(signals.PARENT, f"{number()} 86400 {signals._namespace()}")
    monkeypatch.setattr("signal.signal", lambda *arguments: None)
    told = []
    signals.watch(lambda: told.append(True)).join(10)
    assert told == [True]


@pytest.mark.parametrize(("step", "waits"), [("0", True), (None, False)])
def test_only_in_a_step_that_slurm_started_its_end_is_waited_for(monkeypatch, step, waits):
    monkeypatch.setenv("SLURM_JOB_ID", "7")  # a shell of salloc has it too
    monkeypatch.delenv(signals.STEP, raising=False)
    if step is not None:
        monkeypatch.setenv(signals.STEP, step)
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    signals.await_the_end()
    assert bool(slept) == waits


IN_A_JOB = """
import os, signal, sys, time, weakref
from types import SimpleNamespace
sys.path.insert(0, {root!r})
from nctransfer.errors import ModelError
from nctransfer.runtime.job import job
from nctransfer.stamp import UNSTAMPED

snakemake = SimpleNamespace(
    config={{
        "study": None, "resources": {{"threads": 1}}, "paths": {{"downloads": "."}}, "operation": {{"downloads": {{}}}},
        "reruns": {{"identity": "contents"}},
        "package": {{"folder": {root!r} + "/nctransfer"}},
    }},
    rule="model", log=["log.txt"], wildcards={{}}, input={{}}, output=[], resources={{}},
    params=SimpleNamespace(job={{"settings": {{}}, "stamp": UNSTAMPED.to_json()}}),
)
"""
ERROR = """
with job(snakemake):
    try:
        signal.raise_signal(signal.{number})
    except BaseException:
        raise {error}("what others make of it") from None
"""
# Python drops what is raised in a finalizer.
FINALIZER = """
class Held: pass
held = Held()
weakref.finalize(held, signal.raise_signal, signal.{number})
with job(snakemake):
    del held
    for _ in range(300):
        time.sleep(0.1)
"""
LATE_FINALIZER = FINALIZER.split("    for")[0] + "time.sleep(0.3)"
AT_THE_END = """
held = type("Held", (), {{}})()
weakref.finalize(held, signal.raise_signal, signal.{number})
with job(snakemake):
    pass
"""


def in_a_job(folder: Path, text: str, **words: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(signals.__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", (IN_A_JOB + text).format(root=root, **words)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


@pytest.mark.parametrize("error", ["RuntimeError", "ModelError"])  # a library's, and one of ours
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_stop_of_which_other_code_makes_an_error_is_a_stop(tmp_path, number, error):
    run = in_a_job(tmp_path, ERROR, number=number, error=error)
    assert run.returncode == 1
    assert f"stopped by {number}; the same command starts this job again" in run.stderr
    assert "Traceback" not in run.stderr
    assert "what others make of it" in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_stop_that_arrives_in_a_finalizer_is_a_stop(tmp_path, number):
    run = in_a_job(tmp_path, FINALIZER, number=number)
    assert run.returncode == 1
    assert f"stopped by {number}; the same command starts this job again" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("text", [AT_THE_END, LATE_FINALIZER])
@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_after_the_jobs_end_does_not_undo_it(tmp_path, number, text):
    run = in_a_job(tmp_path, text, number=number)
    assert (run.returncode, run.stderr) == (0, "")
