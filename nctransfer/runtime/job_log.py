"""Where and how long a job ran: one line in its log, which the provenance page reads.

No output of a job depends on it, so no digest covers this module.
"""

import json
import logging
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nctransfer.stamp import MadeWith

logger = logging.getLogger("nctransfer")

# The job's script imports this module first, so this is nearly the start of its process.
_BEGAN, _CLOCK = datetime.now(UTC), time.monotonic()
_LINE = re.compile(r" run (\{.*\})$")
CONTINUED = " continues after epoch "  # said by nctransfer.training.loop


def write_line(
    study: str | None, rule: str, wildcards: Mapping[str, Any], digest: str, made_with: MadeWith
) -> None:
    """Write the log line of a finished job."""
    gpu = {} if made_with.device == "cpu" else {"device": "cuda", "device_name": made_with.device}
    record = {
        "study": study,
        "rule": rule,
        "wildcards": {name: str(value) for name, value in wildcards.items()},
        "digest": digest,
        "host": os.uname().nodename if hasattr(os, "uname") else platform.node(),
        "device": "cpu",
        "device_name": _processor(),
        "threads": made_with.threads,
        "versions": dict(made_with.versions),
        "start": _BEGAN.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - _CLOCK, 2),
        "cpu_seconds": round(_cpu_seconds(), 2),
        "memory": round(_peak_memory()),
    } | gpu
    logger.info("run %s", json.dumps(record))


def _peak_memory() -> float:
    """MB of this process at most, with the largest of the processes that it started, which read images."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes
    return sum(usage.ru_maxrss for usage in _usage()) * unit / 1e6


def _cpu_seconds() -> float:
    """Seconds of cores that this process and those that it started have used."""
    return sum(usage.ru_utime + usage.ru_stime for usage in _usage())


def _usage() -> list[resource.struct_rusage]:
    return [resource.getrusage(which) for which in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def read_lines(logs: Path, study: str | None) -> list[dict[str, Any]]:
    """Log lines of a study's finished jobs, by start; the paper's folder has those of other studies too."""
    records = [record for path in sorted(logs.rglob("*.log")) for record in lines_of(path)]
    own = [record for record in records if record["study"] == study]
    return sorted(own, key=lambda record: record["start"])


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of finished jobs in a log; ``continued`` if the time is that of a training's last part."""
    text = path.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines():
        if matched := _LINE.search(line):
            try:
                yield json.loads(matched[1]) | {"continued": CONTINUED in text}
            except ValueError:  # cut off by a kill or a full disk
                continue


def cores_time(record: Mapping[str, Any]) -> float:
    """Seconds of cores that a job used; if its line does not tell, as of earlier versions, of its threads."""
    return float(record.get("cpu_seconds", record["threads"] * record["seconds"]))


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:  # not Linux
        text = ""
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.processor() or platform.machine()
