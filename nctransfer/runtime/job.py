"""What every script of the workflow does around its work: log, threads, device, errors.

A script is an adaptor: it opens a :class:`Job` on Snakemake's object, calls the package
and writes the outputs. Snakemake sends a script's output nowhere by itself, so the job
writes the rule's log; an error that the user can mend ends the job with its message
alone.
"""

import gc
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nctransfer.errors import NCTransferError, StoppedError, StoreError
from nctransfer.runtime import job_log, signals, study_lock
from nctransfer.runtime.machine_errors import explain
from nctransfer.stamp import Stamp
from nctransfer.storage.stamps import read_stamp

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("nctransfer")

# torch makes hundreds of thousands of objects when it is imported, which all stay: looking for
# garbage among them takes a third of a short job's time. Collection begins when the job does.
# Scripts import this module first (ruff's isort is told so).
gc.disable()
# The seconds that the imports take count too: nobody is left behind.
signals.watch()


@dataclass(frozen=True)
class Job:
    """A running job of the workflow.

    Attributes:
        settings: what the configuration says to this job, plain values.
        stamp: digests of code, settings and inputs, written into every output.
        threads: CPU threads to compute with: those of the configuration as far as the machine has
            them, whatever ``-j`` is, since sums over more threads differ in their last bits.
        gpus: GPUs that Snakemake granted; ``--resources gpu=0`` grants none.
        downloads: folder for published data sets and weights.
        operation: how long trainings behave while they run.
    """

    settings: dict[str, Any]
    stamp: Stamp
    threads: int
    gpus: int
    downloads: Path
    operation: dict[str, Any]

    def device(self) -> "torch.device":
        """Device to compute on, for this job alone; torch's thread count is set to the job's.

        Where all GPUs are in use, it waits for one.

        Raises:
            NCTransferError: ``device: cuda`` without a usable GPU.
        """
        import torch

        from nctransfer.runtime import gpus

        torch.set_num_threads(self.threads)
        wanted = self.settings["device"]
        if self.gpus > 0 and wanted != "cpu":
            gpus.claim(self.gpus)
        usable = self.gpus > 0 and torch.cuda.is_available()
        if wanted == "cuda" and not usable:
            raise NCTransferError(
                "device: 'cuda' is asked for, but this job has no usable GPU; allowed: auto, cpu"
            )
        device = torch.device("cuda" if usable and wanted != "cpu" else "cpu")
        logger.info("device %s, %d threads", device, self.threads)
        job_log.computes_on(device)
        return device


@contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Open a job: log to the rule's log file, report errors in one message.

    Args:
        snakemake: the object that Snakemake defines in a script.
    """
    gc.freeze()
    gc.enable()
    signals.stop_in_order()
    try:
        study_lock.join(snakemake.config["study"])
        _log_to(Path(snakemake.log[0]))
        _refuse_namesake(Path(snakemake.scriptdir).resolve().parents[1])
        told = snakemake.params.job
        stamp = Stamp.from_json(told["stamp"])
        _refuse_stale(snakemake.input, stamp)
        task = Job(
            settings=told["settings"],
            stamp=stamp,
            threads=min(snakemake.config["resources"]["threads"], _processors()),
            gpus=snakemake.resources.get("gpu", 0),
            # no parameters: neither where files are cached nor how often a training is saved changes a result
            downloads=Path(snakemake.config["paths"]["downloads"]),
            operation=dict(snakemake.config["operation"]),
        )
        yield task
        job_log.write_line(
            snakemake.config["study"], snakemake.rule, snakemake.wildcards, stamp.digest, task.threads
        )
        logger.info("done")
    except (StoppedError, signals.Stopped) as error:
        logger.error("%s", error)
        study_lock.leave()
        if error.signal == "SIGTERM":
            signals.await_the_end()
        _fail(snakemake, str(error))
    except NCTransferError as error:
        logger.error("%s", error)
        _fail(snakemake, str(error))
    except Exception as error:
        logger.error("%s", traceback.format_exc())
        outputs = Path(snakemake.output[0]).parent if snakemake.output else Path()
        message = explain(error, str(outputs))
        if message is None:
            raise
        _fail(snakemake, message)


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _log_to(path: Path) -> None:
    """Send the package's log to a file; where the disk is full, it is the work that tells so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = False
    file = logging.FileHandler(path, mode="w")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [file]


def _refuse_stale(inputs: Any, stamp: Stamp) -> None:
    """Make sure that inputs were made by the code and settings that were planned.

    Snakemake sees to that itself, but trusts every file that is there where its own
    records (`.snakemake`) were lost.
    """
    for name, digest in stamp.made_by.items():
        path = Path(inputs[name])
        found = read_stamp(path).digest
        if found != digest:
            raise StoreError(
                f"{path}: made by other code or settings (digest {found}, now {digest}); delete it and run "
                "again, or, where only code changed and no result with it, see docs/adopt.md"
            )


def _fail(snakemake: Any, message: str) -> NoReturn:
    """End the job with one message on the terminal."""
    sys.stderr.write(f"error in rule {snakemake.rule} ({snakemake.log[0]}):\n{message}\n")
    sys.stderr.flush()
    sys.exit(1)


def _refuse_namesake(root: Path) -> None:
    """Make sure that the code that runs is the code whose digest was computed."""
    here = Path(__file__).resolve().parents[1]
    if here != root / "nctransfer":
        raise NCTransferError(
            f"the package in use is {here}, not the one beside the Snakefile ({root / 'nctransfer'}); "
            "uninstall the other: pip uninstall nctransfer"
        )
