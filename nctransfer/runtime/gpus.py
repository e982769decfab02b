"""One GPU for each running job; Snakemake only counts GPUs.

A job locks one of the visible devices and makes it the only visible one, before CUDA is used. The locks lie
in one folder of the machine, so that they apply to all workflows, and the system frees them when the job ends
for whatever reason.
"""

import logging
import os
import re
import time
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import pynvml

from nctransfer.errors import NCTransferError
from nctransfer.runtime.locks import Lock

logger = logging.getLogger(__name__)

# The same for all users and jobs of a machine, unlike TMPDIR.
FOLDER = Path("/tmp/nctransfer-gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Set in the jobs of Slurm, PBS, LSF, Grid Engine, Flux and Kubernetes.
SCHEDULERS = (
    "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID", "FLUX_JOB_ID", "KUBERNETES_SERVICE_HOST",
)  # fmt: skip
POLL_SECONDS = 0.5
INDEX = re.compile(r"\+?[0-9]+")  # CUDA reads leading digits only

_held: Lock | None = None


def claim(
    granted: int, environment: MutableMapping[str, str] = os.environ, folder: Path = FOLDER
) -> str | None:
    """Make one GPU that no other job uses the only visible one; wait until one is free.

    To be called before CUDA is used. The device is kept until the process ends. ``granted`` is the number of
    GPUs that Snakemake granted this job, ``folder`` that of the locks. Returns the device's identifier; None
    if there is no GPU, or if a scheduler gave the job no more devices than it requested, which are its own.

    Raises:
        NCTransferError: the folder of the locks is not usable, or the driver cannot list the GPUs.
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
    """Identifiers (UUIDs) of the machine's NVIDIA GPUs, in the order of nvidia-smi."""
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


def usable(listed: Sequence[str] | None, uuids: Sequence[str]) -> list[str]:
    """Identifiers of the devices that the job may use.

    ``listed`` are the entries of CUDA_VISIBLE_DEVICES, None if it is not set, ``uuids`` identify the
    machine's GPUs; if there are none (no NVIDIA driver), devices are named by the entries.
    """
    if listed is None:
        return list(uuids)
    if not uuids:
        return list(listed)
    devices: list[str] = []
    for name in listed:
        if number := INDEX.match(name):
            index = int(number[0])
            matches = [uuids[index]] if index < len(uuids) else []
        elif name.startswith("MIG-"):  # a part of a GPU, which is a device of its own
            matches = [name]
        else:  # a unique beginning of an identifier
            matches = [device for device in uuids if name and device.startswith(name)]
        if len(matches) != 1:
            break  # CUDA ignores everything after an unknown name
        devices += matches
    # CUDA shows no device at all if one is listed twice
    return devices if len(set(devices)) == len(devices) else []


def _listed(environment: Mapping[str, str]) -> list[str] | None:
    """Entries of CUDA_VISIBLE_DEVICES up to the first that is no device; None if it is not set."""
    text = environment.get(VISIBLE)
    if text is None:
        return None
    entries = map(str.strip, text.split(","))
    return list(takewhile(lambda entry: entry and not entry.startswith("-"), entries))


def _make(folder: Path) -> None:
    """Create the folder of the locks: everybody may add files, nobody may delete those of others."""
    with suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)  # the umask restricts the mode of mkdir


def _first_free(locks: Mapping[str, Lock]) -> str:
    reported = False
    while True:
        for device, lock in locks.items():
            if lock.take():
                return device
        if not reported:
            logger.info("waiting for a GPU: other jobs use %s", ", ".join(locks))
            reported = True
        time.sleep(POLL_SECONDS)
