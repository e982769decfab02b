"""Where and how long a job ran: one line in its log, which the report's provenance reads.

Nothing that a job writes depends on it, so that no digest covers this module.
"""

import json
import logging
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("nctransfer")

# The job's script imports this first: as good as when its process began.
_BEGAN, _CLOCK = datetime.now(UTC), time.monotonic()
_LINE = re.compile(r" run (\{.*\})$")
_device: dict[str, str] = {}


def computes_on(device: "torch.device") -> None:
    """Note the device that the job computes on; others ran on the processor."""
    if device.type == "cuda":
        import torch

        _device.update(device="cuda", device_name=torch.cuda.get_device_name(device))


def write_line(study: str | None, rule: str, wildcards: Mapping[str, Any], digest: str, threads: int) -> None:
    """Write the line of a job that has done its work."""
    record = {
        "study": study,
        "rule": rule,
        "wildcards": {name: str(value) for name, value in wildcards.items()},
        "digest": digest,
        "host": os.uname().nodename if hasattr(os, "uname") else platform.node(),
        "device": "cpu",
        "device_name": _processor(),
        "threads": threads,
        "start": _BEGAN.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - _CLOCK, 2),
    } | _device
    logger.info("run %s", json.dumps(record))


def read_lines(logs: Path, study: str | None) -> list[dict[str, Any]]:
    """What the finished jobs of a study say, the first to start first.

    Args:
        logs: the study's folder of logs; that of the paper holds those of other studies too.
        study: which to read.
    """
    found = [record for path in sorted(logs.rglob("*.log")) for record in _of_log(path)]
    return sorted(
        (record for record in found if record["study"] == study), key=lambda record: record["start"]
    )


def _of_log(path: Path) -> Iterator[dict[str, Any]]:
    """The line of a job; a log without one is of a job that did not finish."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if matched := _LINE.search(line):
            try:
                yield json.loads(matched[1])
            except ValueError:  # a line cut short by a kill or a full disk
                continue


def _processor() -> str:
    """What the processor calls itself."""
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:  # not Linux
        text = ""
    named = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1].strip() if named else platform.processor() or platform.machine()
