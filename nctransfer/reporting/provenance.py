"""What made everything that is shown: code, configuration, software, and every job's machine and time."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from nctransfer.reporting import pages
from nctransfer.runtime.run_log import read_lines
from nctransfer.stamp import Stamp
from nctransfer.storage.files import save_text
from nctransfer.storage.ledger import read_ledger
from nctransfer.versions import library_versions, package_version, revision

LIBRARIES = (
    "snakemake", "torch", "torchvision", "timm", "open_clip_torch", "numpy", "scipy", "scikit-learn",
    "pandas", "pyarrow", "safetensors", "pillow", "matplotlib", "seaborn",
)  # fmt: skip
# Rules that tell of the others and run at the same time.
ABOUT = ("overview", "provenance")


def gather(
    root: Path, results: Path, logs: Path, config: Mapping[str, Any], made_by: Mapping[str, str]
) -> dict[str, Any]:
    """Collect provenance.

    Args:
        root: the project's root.
        results: the study's folder of results.
        logs: the study's folder of logs.
        config: the complete configuration.
        made_by: digests of all that is shown, by name.
    """
    return {
        "study": config["study"],
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(root),
        "package": {"nctransfer": package_version()},
        "python": platform.python_version(),
        "system": platform.platform(),
        "libraries": library_versions(LIBRARIES),
        "digests": {name: made_by[name] for name in sorted(made_by)},
        "adoptions": [asdict(adoption) for adoption in read_ledger(results)],
        "jobs": [job for job in read_lines(logs, config["study"]) if job["rule"] not in ABOUT],
        "configuration": _chosen(config),
    }


def summary(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Jobs, total and longest time of each rule on each host and device, in order of first starts."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for job in jobs:
        groups.setdefault((job["rule"], job["host"], job["device_name"]), []).append(job)
    return [
        {
            "rule": rule,
            "host": host,
            "device_name": device,
            "jobs": len(members),
            "threads": max(job["threads"] for job in members),
            "seconds": sum(job["seconds"] for job in members),
            "longest": max(job["seconds"] for job in members),
        }
        for (rule, host, device), members in groups.items()
    ]


def write(found: Mapping[str, Any], path: Path, html: Path, stamp: Stamp) -> None:
    """Write everything as JSON, and what a reader wants of it as a page."""
    save_text(json.dumps({"stamp": stamp.to_json(), **found}, indent=2) + "\n", path)
    save_text(pages.page("About this run", _body(found)), html)


def _body(found: Mapping[str, Any]) -> str:
    facts = [
        ("Study", found["study"] or "the paper's own folders"),
        ("Revision", _revision_in_words(found["revision"])),
        ("Package", f"nctransfer {found['package']['nctransfer']}"),
        ("Python", f"{found['python']} on {found['system']}"),
        ("Libraries", ", ".join(f"{name} {number}" for name, number in found["libraries"].items())),
        ("Written", found["written"]),
    ]
    rows = "".join(
        f"<tr><th scope=row>{name}</th><td>{pages.escape(text)}</td></tr>\n" for name, text in facts
    )
    configuration = yaml.safe_dump(found["configuration"], sort_keys=False, allow_unicode=True, width=110)
    return (
        f"<table class='text facts'>\n<tbody>\n{rows}</tbody>\n</table>\n"
        f"<h2>Jobs by rule and machine</h2>\n{_jobs(found['jobs'])}"
        f"{_adoptions(found['adoptions'])}"
        "<h2>Configuration</h2>\n<p>Complete, every default filled in; models that follow from it "
        "(snapshots, fine-tuning runs) are left out.</p>\n"
        f"<details><summary>Show it (YAML)</summary>\n<pre>{pages.escape(configuration)}</pre>\n</details>\n"
    )


def _jobs(jobs: list[dict[str, Any]]) -> str:
    """When the jobs ran, and how long on which machine."""
    if not jobs:
        return "<p>No job's log tells of it.</p>\n"
    rows = [
        (
            row["rule"],
            row["host"],
            row["device_name"],
            str(row["threads"]),
            str(row["jobs"]),
            _duration(row["seconds"]),
            _duration(row["longest"]),
        )
        for row in summary(jobs)
    ]
    ends = [datetime.fromisoformat(job["start"]) + timedelta(seconds=job["seconds"]) for job in jobs]
    total = _duration(sum(job["seconds"] for job in jobs))
    return (
        f"<p>{len(jobs)} jobs between {jobs[0]['start']} and {max(ends).isoformat(timespec='seconds')}, "
        f"{total} together. A job counts as it last ran: a training that was interrupted from where "
        "it went on.</p>\n"
        + pages.table(("Rule", "Host", "Device", "Threads", "Jobs", "Total", "Longest"), rows, "jobs")
    )


def _adoptions(adoptions: list[dict[str, Any]]) -> str:
    """Changes of code after which results were kept; nothing where there are none."""
    if not adoptions:
        return ""
    rows = [
        (
            adoption["when"],
            _revision_in_words(adoption["revision"]),
            adoption["reason"],
            str(len(adoption["jobs"])),
            ", ".join(adoption["modules"]),
        )
        for adoption in adoptions
    ]
    return (
        "<h2>Adopted results</h2>\n<p>Code changed after these jobs had run. Whoever changed it declared "
        "that no result depends on the change, so the results were kept.</p>\n"
        + pages.table(("When", "Revision", "Reason", "Jobs", "Modules that differ"), rows, "text")
    )


def _revision_in_words(found: Mapping[str, Any]) -> str:
    if found["commit"] is None:
        return f"unknown: {found['reason']}"
    changed = len(found["changed_files"])
    if not changed:
        return f"{found['commit']}, unchanged"
    return f"{found['commit']}, {changed} file{'s' if changed > 1 else ''} changed since"


def _duration(seconds: float) -> str:
    """Seconds as a reader takes them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"


def _chosen(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the models that follow from other parts of it, of which there are many."""
    models = {
        key: entry
        for key, entry in config["models"].items()
        if "run" not in entry and "snapshot_of" not in entry
    }
    return {**config, "models": models}
