"""How long a job lives: no longer than the Snakemake process that started it, and not after a stop signal.

``kill -9`` of Snakemake leaves its jobs running, each with its GPU. Therefore a job watches the process that
started it (named in an environment variable by the Snakefile). When that process is gone, the job sends
itself SIGTERM: a training writes a checkpoint after the current step, anything else ends at once. A job that
has not ended after ``GRACE_SECONDS`` is killed.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PARENT = "NCTRANSFER_PARENT"
GRACE_SECONDS = 7.0
# Set where Slurm itself started the process (srun), not in a shell of salloc.
STEP = "SLURM_STEP_ID"
# Longest grace period of a Slurm partition that is supported.
SLURM_SECONDS = 300.0
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# After so long a finalizer in which a stop was dropped is over; if not, the stop is raised yet again.
AGAIN_SECONDS = 0.05


class Stopped(SystemExit):
    """A signal stopped the job; not an error, although the job is not finished."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.signal = signal.Signals(number).name

    def __str__(self) -> str:
        return f"stopped by {self.signal}; the same command starts this job again"


_received: Stopped | None = None  # the stop signal that arrived


def announce() -> None:
    """Mark this process as the one with which the jobs that it starts must end."""
    os.environ[PARENT] = f"{os.getpid()} {_began(os.getpid())} {_namespace()}"


def end_quietly() -> None:
    """Let Ctrl-C end a watched job without a message: there is nothing to clean up yet."""
    if PARENT in os.environ:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def watch(end: Callable[[], None] | None = None) -> threading.Thread | None:
    """End this process (or call ``end``) when the one that started it ends.

    Returns the watching thread; None if no process is marked, or it is not visible from here (another
    container or machine).
    """
    number, _, began_and_namespace = os.environ.get(PARENT, "").partition(" ")
    began, _, namespace = began_and_namespace.partition(" ")
    if not number or namespace != _namespace():
        return None
    if STEP in os.environ:
        signal.signal(signal.SIGTERM, lambda *_: await_the_end())
    arguments = int(number), began, end or end_this_process
    thread = threading.Thread(target=_wait, args=arguments, name="lifetime", daemon=True)
    thread.start()
    return thread


def end_this_process() -> None:
    """Ask this process to stop, and kill it if it does not stop in time."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def stop_in_order() -> None:
    """Let SIGTERM and SIGINT unwind this process, so that incomplete files are removed."""
    sys.unraisablehook = _stop_again
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)


def ignore() -> None:
    """Ignore signals that stop from now on: the job is over, and what is left is Python's end."""
    for number in (*STOP_SIGNALS, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)


def await_the_end() -> None:
    """After SIGTERM in a step of a Slurm job, wait to be killed.

    Slurm restarts a pre-empted job, but not one that ended by itself within the grace period; that job counts
    as failed.
    """
    if STEP in os.environ:
        time.sleep(SLURM_SECONDS)


def received() -> Stopped | None:
    """The stop signal that arrived, even if other code made another error of it, as some imports do."""
    return _received


def _stop(number: int, frame: FrameType | None) -> None:
    global _received
    if _received is not None and _received.code == 128 + number:
        return  # told twice: by a scheduler, and by the script that passes its signals on
    _received = Stopped(number)
    raise _received


def _stop_again(unraisable: "sys.UnraisableHookArgs") -> None:
    """A stop that was raised where Python drops errors, as in a finalizer, is raised once more."""
    stopped = unraisable.exc_value
    if not isinstance(stopped, Stopped):
        sys.__unraisablehook__(unraisable)
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise stopped

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)


def _wait(number: int, began: str, end: Callable[[], None]) -> None:
    import psutil  # here, so that nothing slow is imported before a job handles its signals

    with contextlib.suppress(psutil.NoSuchProcess):  # already gone
        process = psutil.Process(number)
        if _began(number) == began:  # otherwise its number has been reused
            process.wait()
    end()


def _began(number: int) -> str:
    """Start time of a process in kernel ticks, which do not change with the clock."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:  # gone, or not Linux
        return "-"


def _namespace() -> str:
    """Identifier of the scope in which process numbers are valid."""
    try:
        return f"{os.uname().nodename} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # not Linux
        return os.uname().nodename
