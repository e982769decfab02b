"""One GPU for each running job: Snakemake counts GPUs and never says which.

A job takes a lock on one of the visible devices and makes it the only visible one, before
CUDA is used. The locks lie in one folder of the machine, so that they count for every
workflow in every folder, and are freed by the system when the job ends, however it ends.
"""

import logging
import os
import time
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path

import pynvml

from nctransfer.errors import NCTransferError
from nctransfer.runtime.locks import Lock

logger = logging.getLogger(__name__)

# The same for all users and jobs of a machine; TMPDIR often is not.
FOLDER = Path("/tmp/nctransfer-gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Set in the jobs of Slurm, PBS, LSF, Grid Engine, Flux and Kubernetes.
SCHEDULERS = (
    "SLURM_JOB_ID",
    "PBS_JOBID",
    "LSB_JOBID",
    "SGE_TASK_ID",
    "FLUX_JOB_ID",
    "KUBERNETES_SERVICE_HOST",
)
POLL_SECONDS = 0.5

_held: Lock | None = None


def claim(
    granted: int, environment: MutableMapping[str, str] = os.environ, folder: Path = FOLDER
) -> str | None:
    """Make one GPU that no other job uses the only visible one; waits until one is free.

    To be called before CUDA is used. The device is kept until the process ends.

    Args:
        granted: GPUs that Snakemake counts for this job.
        environment: of the process.
        folder: of the locks.

    Returns:
        the device's identifier, or None where there is none, or a scheduler gave the job
        no more devices than it asked for: they are its own.

    Raises:
        NCTransferError: the folder of the locks is not to be used, or the driver answers for no GPU.
    """
    global _held
    if _held is not None:
        return environment[VISIBLE]
    listed = _listed(environment)
    if listed is not None and len(listed) <= granted and any(name in environment for name in SCHEDULERS):
        logger.info("GPU %s, given by the scheduler", ", ".join(listed) or "none")
        return None
    devices = usable(listed, installed())
    if not devices:
        return None
    locks = {device: Lock(folder / f"{device}.lock") for device in devices}
    try:
        _make(folder)
        device = _first_free(locks)
    except OSError as error:
        raise NCTransferError(
            f"{folder}: GPUs cannot be claimed there ({error.strerror}); it must be a folder that all users "
            "may write to (mode 1777), with files that all may read"
        ) from None
    _held, environment[VISIBLE] = locks[device], device
    logger.info("GPU %s claimed", device)
    return device


def installed() -> list[str]:
    """Identifiers (UUIDs) of the machine's NVIDIA GPUs, in the order of their indices in nvidia-smi."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver
        return []
    try:
        count = pynvml.nvmlDeviceGetCount()
        return [pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(count)]
    except pynvml.NVMLError as error:
        raise NCTransferError(f"the machine's GPUs cannot be listed ({error}); see nvidia-smi") from None
    finally:
        pynvml.nvmlShutdown()


def usable(listed: Sequence[str] | None, there: Sequence[str]) -> list[str]:
    """Identifiers of the devices that the job may choose from.

    Args:
        listed: what CUDA_VISIBLE_DEVICES lists, None where it is not set.
        there: identifiers of the machine's GPUs; where they cannot be told (no NVIDIA driver)
            devices go by the names that are listed.
    """
    if listed is None:
        return list(there)
    if not there:
        return list(listed)
    found = []
    for name in listed:
        if name.isdecimal():
            matches = [there[int(name)]] if int(name) < len(there) else []
        elif name.startswith("MIG-"):  # a part of a GPU, which is a device of its own
            matches = [name]
        else:  # as much of an identifier as tells it from the others
            matches = [device for device in there if device.startswith(name)]
        if len(matches) != 1:
            break  # CUDA sees nothing behind a name that it does not know
        found += matches
    return found


def _listed(environment: Mapping[str, str]) -> list[str] | None:
    text = environment.get(VISIBLE)
    return (
        None if text is None else [name.strip() for name in text.split(",") if name.strip() not in ("", "-1")]
    )


def _make(folder: Path) -> None:
    """The folder of the locks, where everybody may add files and nobody may delete another's."""
    try:
        folder.mkdir()
    except FileExistsError:
        return
    folder.chmod(0o1777)  # mkdir's mode is cut by the umask


def _first_free(locks: Mapping[str, Lock]) -> str:
    told = False
    while True:
        for device, lock in locks.items():
            if lock.take():
                return device
        if not told:
            logger.info("waiting for a GPU: others use %s", ", ".join(locks))
            told = True
        time.sleep(POLL_SECONDS)
