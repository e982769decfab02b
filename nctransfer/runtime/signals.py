"""How long a job lives: not longer than the Snakemake that started it, and not on when told to stop.

``kill -9`` of Snakemake leaves its jobs at work, each with its GPU. A job therefore watches
the process that started it (named in the environment by the Snakefile) and, when that is
gone, sends itself SIGTERM: a training writes a checkpoint after the step under way, anything
else ends at once; whoever has not ended after ``GRACE_SECONDS`` is killed.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

PARENT = "NCTRANSFER_PARENT"
GRACE_SECONDS = 7.0
# Set where Slurm itself started the process (srun), not in a shell of salloc.
STEP = "SLURM_STEP_ID"
# Longest time of grace of a Slurm partition that is waited for.
SLURM_SECONDS = 300.0


class Stopped(SystemExit):
    """A signal told the job to stop; not an error, though the job has not done its work."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number).name

    def __str__(self) -> str:
        return f"stopped by {self.signal}; the same command starts this job again"


def announce() -> None:
    """Name this process as the one whose end ends the jobs that it starts."""
    os.environ[PARENT] = f"{os.getpid()} {_began(os.getpid())} {_namespace()}"


def watch(end: Callable[[], None] | None = None) -> threading.Thread | None:
    """End this process when the one that started it ends, and on Ctrl-C without a word.

    Args:
        end: what to do then, instead of ending this process.

    Returns:
        the thread that waits, None where no process was announced or it cannot be seen
        from here (a container of its own, another machine).
    """
    number, _, rest = os.environ.get(PARENT, "").partition(" ")
    began, _, namespace = rest.partition(" ")
    if not number or namespace != _namespace():
        return None
    # until stop_in_order: nothing has begun that would have to be undone
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if STEP in os.environ:
        signal.signal(signal.SIGTERM, lambda *_: await_the_end())
    thread = threading.Thread(
        target=_wait, args=(int(number), began, end or end_this_process), name="lifetime", daemon=True
    )
    thread.start()
    return thread


def end_this_process() -> None:
    """Ask this process to stop, and kill it if it does not in time."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def stop_in_order() -> None:
    """Have SIGTERM and SIGINT unwind this process, so that half-written files are removed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)


def await_the_end() -> None:
    """After SIGTERM in a step of a Slurm job, wait for the end that it announces.

    Slurm starts a job again that it pre-empted, not one that ended by itself within the time of
    grace; that one counts as failed.
    """
    if STEP in os.environ:
        time.sleep(SLURM_SECONDS)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)


def _wait(number: int, began: str, end: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # gone before it could be watched
        process = psutil.Process(number)
        if _began(number) == began:  # otherwise another has its number by now
            process.wait()
    end()


def _began(number: int) -> str:
    """When a process began, in the kernel's ticks: they do not change when somebody sets the clock."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:  # gone, or not Linux
        return "-"


def _namespace() -> str:
    """Where process numbers mean the same."""
    try:
        return f"{os.uname().nodename} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # not Linux
        return os.uname().nodename
