"""What made everything that is shown: code, configuration, software, and every job's machine and time."""

import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from nctransfer.reporting import pages
from nctransfer.reporting.versions import library_versions, package_version
from nctransfer.runtime import read_lines
from nctransfer.storage.files import save_text

LIBRARIES = (
    "snakemake", "torch", "torchvision", "timm", "open_clip_torch", "numpy", "scipy", "scikit-learn",
    "pandas", "pyarrow", "safetensors", "pillow", "matplotlib", "seaborn",
)  # fmt: skip
# Rules that tell of the others and run at the same time.
ABOUT = ("overview", "provenance")


def gather(root: Path, logs: Path, config: Mapping[str, Any], made_by: Mapping[str, str]) -> dict[str, Any]:
    """Everything there is to say.

    Args:
        root: the project's root.
        logs: the study's folder of logs.
        config: the complete configuration.
        made_by: recipes of all that is shown, by name.
    """
    return {
        "study": config["study"],
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(root),
        "package": {"nctransfer": package_version()},
        "python": platform.python_version(),
        "system": platform.platform(),
        "libraries": library_versions(LIBRARIES),
        "recipes": {name: made_by[name] for name in sorted(made_by)},
        "jobs": [job for job in read_lines(logs, config["study"]) if job["rule"] not in ABOUT],
        "configuration": _chosen(config),
    }


def revision(root: Path) -> dict[str, Any]:
    """Commit of the project and whether files differ from it; a reason where there is none."""
    try:
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        if top.resolve() != root.resolve():
            return {"commit": None, "reason": "the project is not a git checkout of its own"}
        changed = _git(root, "status", "--porcelain").splitlines()
        return {"commit": _git(root, "rev-parse", "HEAD"), "changed_files": [line[3:] for line in changed]}
    except FileNotFoundError:
        return {"commit": None, "reason": "git is not installed"}
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        return {
            "commit": None,
            "reason": said[0].removeprefix("fatal: ") if said else "git refuses to answer",
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


def write(found: Mapping[str, Any], path: Path, html: Path, recipe: str) -> None:
    """Write everything as JSON, and what a reader wants of it as a page."""
    save_text(json.dumps({"recipe": recipe, **found}, indent=2) + "\n", path)
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


def _git(root: Path, *arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return run.stdout.rstrip("\n")
