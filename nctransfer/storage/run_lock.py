"""One run of a study in a folder, and none before the jobs of a killed one have ended.

Snakemake's own locks are files that ``kill -9`` leaves behind, and two runs that start
together may both get them. Here a run holds a lock that the system frees (``locks``); who
gets it knows that what an earlier run left is stale. Standard library only: the Snakefile
takes the lock.
"""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from nctransfer.errors import NCTransferError
from nctransfer.storage.locks import UNSUPPORTED, Lock

FOLDER = Path(".snakemake/nctransfer")
SNAKEMAKE_LOCKS = Path(".snakemake/locks")
# How long jobs may take to end after their run was killed (nctransfer.lifetime gives them less).
ORPHAN_SECONDS = 20.0

_held: list[Lock] = []


def begin(study: str, folder: Path = Path()) -> str | None:
    """Be the only run of a study in a folder, as long as this process lives.

    Args:
        study: of the configuration.
        folder: that the workflow runs in.

    Returns:
        what was done about a run that had been killed, None where there was nothing to do.

    Raises:
        NCTransferError: another run is at work there, or jobs of a killed one still are.
    """
    own = Path(folder) / FOLDER
    own.mkdir(parents=True, exist_ok=True)
    lock, record = Lock(own / f"{_name(study)}.run"), own / f"{_name(study)}.json"
    try:
        if not lock.take():
            raise NCTransferError(_at_work(study, folder, _read(record)))
    except OSError as error:
        if error.errno in UNSUPPORTED:  # Snakemake's locks must do
            return None
        raise
    _held.append(lock)
    jobs = Lock(own / f"{_name(study)}.jobs")
    if not jobs.take(seconds=ORPHAN_SECONDS):
        raise NCTransferError(
            f"{_where(study, folder)}: jobs of an earlier run are still at work. Jobs of a cluster outlive "
            "the run that submitted them: wait for them, or cancel them (Slurm: scancel), then type the "
            "same command again"
        )
    jobs.release()
    before = _read(record)
    record.write_text(
        json.dumps(
            {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
        )
    )
    stale = list((Path(folder) / SNAKEMAKE_LOCKS).glob("*.lock"))
    # A run on another machine may share this folder over a file system whose locks do not.
    ours = before.get("host") == socket.gethostname()
    if not (stale and ours) or _others_run(own, lock.path):
        return None
    for path in stale:
        path.unlink(missing_ok=True)
    return f"removed the locks of a run that did not end by itself (process {before.get('pid')})"


def join(study: str) -> None:
    """Count as a job of a study's run in this folder, as long as this process lives."""
    own = FOLDER
    own.mkdir(parents=True, exist_ok=True)
    lock = Lock(own / f"{_name(study)}.jobs")
    try:
        lock.take(shared=True, seconds=float("inf"))  # a run that starts holds it for a moment
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    _held.append(lock)


def leave() -> None:
    """No longer count as a job: all is written."""
    while _held:
        _held.pop().release()


def _name(study: str) -> str:
    return study or "paper"


def _where(study: str, folder: Path) -> str:
    return f"{Path(folder).resolve()} (study {_name(study)})"


def _read(record: Path) -> dict[str, Any]:
    """What the last run wrote of itself; nothing where it did not come to that."""
    try:
        return dict(json.loads(record.read_text()))
    except (OSError, ValueError):
        return {}


def _at_work(study: str, folder: Path, run: dict[str, Any]) -> str:
    who = "another run is at work there"
    stop = "stop it"
    if run:
        who += f": process {run['pid']} on {run['host']}, since {run['since']}"
        stop = f"stop it (there: kill -INT {run['pid']})"
    return (
        f"{_where(study, folder)}: {who}. Nothing was started. Wait for it to end, or {stop}, then type the "
        "same command again; other studies (`study:` of an overlay) and dry runs (-n) may run meanwhile"
    )


def _others_run(own: Path, mine: Path) -> bool:
    """Whether runs of other studies are at work in the folder."""
    for path in own.glob("*.run"):
        other = Lock(path)
        if path != mine:
            if not other.take():
                return True
            other.release()
    return False
