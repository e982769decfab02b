"""What every workflow script does around its work: log, threads, device, errors.

A script opens a :class:`Job` on Snakemake's object, calls the package and writes the outputs. The job writes
the rule's log, since Snakemake does not redirect a script's output. An error that the user can fix ends the
job with its message only.
"""

# ruff: noqa: E402 (what must happen before the imports, which take seconds)
from nctransfer.runtime import signals

# Already during the imports the job must end on Ctrl-C without a message ...
signals.end_quietly()

from nctransfer.runtime import fork_server

# Does not return if the job runs in a process that has the imports done.
fork_server.hand_over()

# ... and with Snakemake.
signals.watch()

import gc

# Importing torch creates hundreds of thousands of permanent objects; searching them for garbage takes a third
# of a short job's time. Collection starts with the job. Scripts import this module first (enforced by isort).
gc.disable()

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nctransfer.errors import NCTransferError, StoppedError, StoreError
from nctransfer.runtime import downloads, job_log, study_lock
from nctransfer.runtime.download_settings import DownloadSettings
from nctransfer.runtime.machine_errors import explain
from nctransfer.stamp import UNRECORDED, MadeWith, Stamp, together
from nctransfer.storage.stamps import read_stamp
from nctransfer.versions import numerical_versions, package_digest

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("nctransfer")


@dataclass
class Job:
    """A running job of the workflow."""

    settings: dict[str, Any]  # the job's settings, plain values
    planned: Stamp  # digests of code, settings and inputs, with what the inputs were made with
    made_with: MadeWith  # its own software and device
    gpus: int  # number of GPUs that Snakemake granted; ``--resources gpu=0`` grants none
    downloads: Path  # folder for published data sets and weights
    operation: dict[str, Any]  # the configuration's section ``operation:``

    @property
    def stamp(self) -> Stamp:
        """Written into every output; complete when the job knows its device."""
        return replace(self.planned, made_with=together((*self.planned.made_with, self.made_with)))

    @property
    def threads(self) -> int:
        """CPU threads to compute with."""
        return self.made_with.threads

    def device(self) -> "torch.device":
        """Device for this job alone (may wait); sets torch's threads. NCTransferError: cuda without a GPU."""
        import torch

        from nctransfer.runtime import gpus

        torch.set_num_threads(self.threads)
        requested = self.settings["device"]
        if self.gpus > 0 and requested != "cpu":
            gpus.claim(self.gpus)
        usable = self.gpus > 0 and torch.cuda.is_available()
        if requested == "cuda" and not usable:
            raise NCTransferError(
                "device: 'cuda' is asked for, but this job has no usable GPU; allowed: auto, cpu"
            )
        device = torch.device("cuda" if usable and requested != "cpu" else "cpu")
        logger.info("device %s, %d threads", device, self.threads)
        if device.type == "cuda":
            own = {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
            name, versions = torch.cuda.get_device_name(device), {**self.made_with.versions, **own}
            self.made_with = replace(self.made_with, device=name, versions=versions)
        return device


@contextmanager
def job(snakemake: Any) -> Iterator[Job]:
    """Open a job on Snakemake's script object: log to the rule's log file, report errors in one message."""
    gc.freeze()
    gc.enable()
    signals.stop_in_order()
    try:
        study_lock.join(snakemake.config["study"])
        _log_to(Path(snakemake.log[0]), snakemake.rule)
        _refuse_other_package(snakemake.config["package"])
        downloads.limits = DownloadSettings.read(snakemake.config["operation"]["downloads"])
        parameter, config = snakemake.params.job, snakemake.config
        stamp, settings = Stamp.from_json(parameter["stamp"]), parameter["settings"]
        # arithmetic of the forward pass: a setting of features, and of trainings
        precision = settings.get("precision") or (settings.get("training") or {}).get("precision", "float32")
        task = Job(
            settings=settings,
            planned=replace(stamp, made_with=_made_inputs_with(snakemake.input, stamp)),
            made_with=MadeWith(
                versions=numerical_versions(),
                device="cpu",
                # those of the configuration, at most as many as the machine has, independent of ``-j``,
                # because sums over more threads differ in their last bits
                threads=min(config["resources"]["threads"], _processors()),
                precision=", ".join(filter(None, (str(precision), settings.get("engine")))),
                identity=config["reruns"]["identity"],
                rules=(_script_name(),),
            ),
            gpus=snakemake.resources.get("gpu", 0),
            # not among the parameters, because no result depends on them
            downloads=Path(config["paths"]["downloads"]),
            operation=dict(config["operation"]),
        )
        yield task
        script, wildcards = _script_name(), snakemake.wildcards
        job_log.write_line(config["study"], script, wildcards, stamp.digest, task.made_with)
        logger.info("done")
    except (StoppedError, signals.Stopped) as error:
        _end_stopped(snakemake, error)
    except NCTransferError as error:
        logger.error("%s", error)
        _end_if_stopped(snakemake)
        _fail(snakemake, str(error))
    except Exception as error:
        logger.error("%s", traceback.format_exc())
        _end_if_stopped(snakemake)
        outputs = Path(snakemake.output[0]).parent if snakemake.output else Path()
        message = explain(error, str(outputs))
        if message is None:
            raise
        _fail(snakemake, message)
    finally:
        signals.ignore()


def _script_name() -> str:
    """Name of the running script, which is that of its rule, also where a module renames the rule."""
    return Path(getattr(sys.modules["__main__"], "__file__", None) or "").name.partition(".")[0]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _log_to(path: Path, rule: str) -> None:
    """Send the package's log to a file, warnings and the progress of downloads also to the terminal.

    If the disk is full, the job itself will report it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.raiseExceptions = False
    file = logging.FileHandler(path, mode="w")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    terminal = logging.StreamHandler()
    # errors end the job with a message
    terminal.addFilter(lambda record: record.levelno == logging.WARNING or hasattr(record, "terminal"))
    words = f"%(terminal)s in rule {rule} ({path}): %(message)s"
    terminal.setFormatter(logging.Formatter(words, defaults={"terminal": "warning"}))
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [file, terminal]


def _made_inputs_with(inputs: Any, stamp: Stamp) -> tuple[MadeWith, ...]:
    """With what the inputs were made; StoreError if not by the planned code and settings.

    Snakemake checks this too, but trusts all existing files if its records (`.snakemake`) were lost.
    """
    records: list[MadeWith] = []
    for name, digest in stamp.made_by.items():
        path = Path(inputs[name])
        found = read_stamp(path)
        if found.digest != digest:
            raise StoreError(
                f"{path}: made by other code or settings (digest {found.digest}, now {digest}); delete it "
                "and run again, or, if only code changed and no result with it, see docs/adopt.md"
            )
        records += found.made_with or [UNRECORDED]
    return together(records)


def _end_if_stopped(snakemake: Any) -> None:
    """An error after a stop signal is what became of the signal."""
    if (stopped := signals.received()) is not None:
        _end_stopped(snakemake, stopped)


def _end_stopped(snakemake: Any, error: StoppedError | signals.Stopped) -> NoReturn:
    logger.error("%s", error)
    study_lock.leave()
    if error.signal == "SIGTERM":
        signals.await_the_end()
    _fail(snakemake, str(error))


def _fail(snakemake: Any, message: str) -> NoReturn:
    sys.stderr.write(f"error in rule {snakemake.rule} ({snakemake.log[0]}):\n{message}\n")
    sys.stderr.flush()
    sys.exit(1)


def _refuse_other_package(planned: Mapping[str, str]) -> None:
    """Check that the running package is the one with which the job was planned."""
    here = Path(__file__).resolve().parents[1]
    if str(here) == planned["folder"]:
        return
    if (digest := package_digest(here)) != planned["digest"]:
        raise NCTransferError(
            f"the package in use is {here} (digest {digest}), not the one that planned this job: "
            f"{planned['folder']} (digest {planned['digest']}); uninstall the other: pip uninstall nctransfer"
        )
