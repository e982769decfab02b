"""Only one run per study in a folder, and none before the jobs of a killed one have ended.

Snakemake's own locks are files that remain after ``kill -9``, and two runs that start at the same time may
both get them. Here a run holds a lock that the system frees (``locks``); a run that gets it knows that
leftovers of an earlier run are stale. Uses the standard library only, because the Snakefile takes the lock.
"""

import json
import os
import re
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nctransfer.errors import NCTransferError
from nctransfer.runtime.locks import UNSUPPORTED, Lock
from nctransfer.storage.files import save_text

FOLDER = Path(".snakemake/nctransfer")
SNAKEMAKE_LOCKS = Path(".snakemake/locks")
# Identifies the run to the jobs that it submits, whenever they start.
TOKEN = "NCTRANSFER_RUN"
# How long jobs may take to end after their run was killed (longer than nctransfer.runtime.signals allows).
ORPHAN_SECONDS = 20.0
# How long a run that has the lock may take to write its record.
RECORD_SECONDS = 2.0

# The runs that this process is, by study and folder; a workflow that imports rules twice begins each twice.
_runs: dict[tuple[str, Path], Lock] = {}
_job: Lock | None = None


def begin(study: str | None, tell: Callable[[str], None], folder: Path = Path()) -> None:
    """Become the only run of a study in a folder until this process ends; ``tell`` reports waits.

    NCTransferError: another run is active there, or jobs of a killed one still are.
    """
    own, name = Path(folder) / FOLDER, _name(study)
    if (run := (name, own.resolve())) in _runs:
        return
    own.mkdir(parents=True, exist_ok=True)
    lock, record = Lock(own / f"{name}.run"), own / f"{name}.json"
    try:
        if not lock.take():
            raise NCTransferError(_at_work(study, folder, record))
    except OSError as error:
        if error.errno in UNSUPPORTED:  # Snakemake's locks must suffice
            return
        raise
    before = _read(record)
    if not _runs:  # one for all studies of this process
        os.environ[TOKEN] = uuid.uuid4().hex
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    own_run = {"pid": os.getpid(), "host": socket.gethostname(), "since": now, "token": os.environ[TOKEN]}
    save_text(json.dumps(own_run), record)
    try:
        _await_jobs(own / f"{name}.jobs", tell, _where(study, folder))
    except BaseException:
        lock.release()
        raise
    _runs[run] = lock
    if before.get("host") == socket.gethostname() and _remove_stale(study, folder):
        tell(f"removed the locks of a run that did not end normally (process {before['pid']})")


def end() -> None:
    """Stop being the run of any study."""
    for lock in _runs.values():
        lock.release()
    _runs.clear()


def join(study: str | None) -> None:
    """Count as a job of a study's run until this process ends; NCTransferError if another run started."""
    global _job
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock, name = Lock(FOLDER / f"{_name(study)}.jobs"), _name(study)
    try:
        lock.take(shared=True, seconds=float("inf"))  # a starting run holds it for a moment
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    token, now = os.environ.get(TOKEN), _read(FOLDER / f"{name}.json").get("token")
    if token and now and token != now:
        lock.release()
        raise NCTransferError(
            "the run that submitted this job was killed, and another has begun since, which submits it "
            "again; nothing was done"
        )
    _job = lock


def leave() -> None:
    """Stop counting as a job: everything is written."""
    if _job is not None:
        _job.release()


def _name(study: str | None) -> str:
    return study or "paper"


def _where(study: str | None, folder: Path) -> str:
    return f"{Path(folder).resolve()} (study {_name(study)})"


def _read(record: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(record.read_text()))
    except (OSError, ValueError):
        return {}


def _await_jobs(path: Path, tell: Callable[[str], None], where: str) -> None:
    jobs = Lock(path)
    if not jobs.take():
        tell("waiting for the jobs of a run that was killed to end")
        if not jobs.take(seconds=ORPHAN_SECONDS):
            raise NCTransferError(
                f"{where}: jobs of an earlier run are still at work. Jobs of a cluster outlive the run that "
                "submitted them: wait for them, or cancel them (Slurm: scancel), then type the same command "
                "again"
            )
    jobs.release()


def _at_work(study: str | None, folder: Path, record: Path) -> str:
    run = _who(record)
    who, stop = "another run is at work there", "stop it"
    if run:
        who += f": process {run['pid']} on {run['host']}, since {run['since']}"
        stop = f"stop it (there: kill -INT {run['pid']})"
    return (
        f"{_where(study, folder)}: {who}. Nothing was started. Wait for it to end, or {stop}, then type the "
        "same command again; other studies (`study:` of an overlay) and dry runs (-n) may run meanwhile"
    )


def _who(record: Path) -> dict[str, Any]:
    """Record of the run that holds the lock, which may not be written yet; empty if it does not come."""
    deadline = time.monotonic() + RECORD_SECONDS
    while True:
        run = _read(record)
        if run and (run["host"] != socket.gethostname() or Path(f"/proc/{run['pid']}").exists()):
            return run
        if time.monotonic() >= deadline:
            return {}
        time.sleep(RECORD_SECONDS / 20)


def _remove_stale(study: str | None, folder: Path) -> bool:
    """Remove Snakemake's locks of a killed run of this study; locks of other studies may be in use."""
    in_use, found = _other_studies(Path(folder) / FOLDER, _name(study)), False
    for path in (Path(folder) / SNAKEMAKE_LOCKS).glob("*.lock"):
        try:
            text = path.read_text(errors="replace")
        except FileNotFoundError:  # its run has just ended
            continue
        # a lock is a list of files, whose paths contain results/<study>/
        of = re.findall(r"^(?:.*/)?(?:results|figures|tables)/([^/\n]+)/", text, re.MULTILINE)
        if not in_use or (study in of if study else not set(of) & in_use):
            path.unlink(missing_ok=True)
            found = True
    return found


def _other_studies(own: Path, name: str) -> set[str]:
    """Other studies that are active in the folder, or may be, on a machine whose locks are not visible."""
    active = set()
    for path in own.glob("*.run"):
        if path.stem != name:
            other = Lock(path)
            if not other.take() or _read(path.with_suffix(".json")).get("host") != socket.gethostname():
                active.add(path.stem)
            other.release()
    return active
