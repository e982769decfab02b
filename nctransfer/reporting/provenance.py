"""Provenance of all figures and tables: what made them, configuration, and machine and time of every job."""

import json
import logging
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from nctransfer.reporting import pages
from nctransfer.runtime.job_log import cores_time, read_lines
from nctransfer.stamp import DRAWING, UNRECORDED, MadeWith, Stamp
from nctransfer.storage.files import save_text
from nctransfer.storage.ledger import Adoption, read_ledger
from nctransfer.versions import library_versions, package_version, revision

logger = logging.getLogger(__name__)

LIBRARIES = (
    "snakemake", "torch", "torchvision", "timm", "open_clip_torch", "numpy", "scipy", "scikit-learn",
    "pandas", "pyarrow", "safetensors", "pillow", "matplotlib", "seaborn",
)  # fmt: skip
# What the workflow adds to the configuration, for the report's captions and for jobs.
NOT_CONFIGURED = ("captions", "package")
# Rules that report on the others and may run at the same time.
ABOUT = ("overview", "provenance")

Job = Mapping[str, Any]  # the line in a job's log


@dataclass(frozen=True)
class Provenance:
    """Provenance as in ``provenance.json``."""

    study: str | None  # its name; None for the paper's own folders
    written: str  # time of collection, UTC
    # commit of the project and files that differ from it, or the reason why there is none
    revision: Mapping[str, Any]
    package: Mapping[str, str]
    python: str
    system: str
    libraries: Mapping[str, str]
    # what all figures and tables were made with, down to the images; empty if nothing is recorded
    made_with: Sequence[MadeWith]
    mixtures: Sequence[str]  # in what results differ that are shown together
    digests: Mapping[str, str]
    adoptions: Sequence[Adoption]  # code changes after which results were kept
    jobs: Sequence[Job]  # their log lines, by start
    configuration: Mapping[str, Any]  # complete, with all defaults


def gather(root: Path, results: Path, logs: Path, config: Mapping[str, Any], shown: Stamp) -> Provenance:
    """Collect provenance; ``shown`` is the job's stamp, of all figures and tables."""
    mixed = mixtures(shown.made_with)
    for mixture in mixed:
        logger.warning("results made with different software or devices are shown together: %s", mixture)
    return Provenance(
        study=config["study"],
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=revision(root),
        package={"nctransfer": package_version()},
        python=platform.python_version(),
        system=platform.platform(),
        libraries=library_versions(LIBRARIES),
        made_with=shown.made_with,
        mixtures=mixed,
        digests=dict(sorted(shown.made_by.items())),
        adoptions=read_ledger(results),
        jobs=[job for job in read_lines(logs, config["study"]) if job["rule"] not in ABOUT],
        configuration={name: part for name, part in config.items() if name not in NOT_CONFIGURED},
    )


def mixtures(records: Sequence[MadeWith]) -> list[str]:
    """How records differ in versions, devices or threads of a rule, in words; drawing does not count."""
    rules = {record: tuple(rule for rule in record.rules if rule not in DRAWING) for record in records}
    computing = [record for record in records if rules[record] or record == UNRECORDED]
    found = []
    for library in sorted({name for record in computing for name in record.versions}):
        values = {record: record.versions.get(library) for record in computing}
        found += _differing(library, {record: value for record, value in values.items() if value}, rules)
    for rule in sorted({rule for record in computing for rule in rules[record]}):
        members = [record for record in computing if rule in rules[record]]
        found += _differing(f"devices of {rule}", {record: record.device for record in members})
        found += _differing(f"threads of {rule}", {record: str(record.threads) for record in members})
    if UNRECORDED in computing:
        found.append("some results do not say with what they were made")
    return found


def _differing(
    what: str, values: Mapping[MadeWith, str], rules: Mapping[MadeWith, Sequence[str]] | None = None
) -> list[str]:
    """Which values there are, and of which rules; nothing if there is only one."""
    distinct = sorted(set(values.values()))
    if len(distinct) < 2:
        return []
    parts = []
    for value in distinct:
        members = [record for record in values if values[record] == value]
        names = sorted({rule for record in members for rule in (rules or {}).get(record, ())})
        parts.append(f"{value} ({', '.join(names)})" if names else value)
    return [f"{what} {' and '.join(parts)}"]


def summary(jobs: Sequence[Job]) -> list[tuple[Any, ...]]:
    """By first start: rule, host, device, most threads, jobs, total, longest and cores' time (s)."""
    groups: dict[tuple[str, str, str], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job["rule"], job["host"], job["device_name"]), []).append(job)
    found = []
    for place, members in groups.items():
        threads, seconds = ([job[key] for job in members] for key in ("threads", "seconds"))
        cores = sum(map(cores_time, members))
        found.append((*place, max(threads), len(members), sum(seconds), max(seconds), cores))
    return found


def write(provenance: Provenance, path: Path, html: Path, stamp: Stamp) -> None:
    """Write everything as JSON, and a readable page."""
    save_text(json.dumps({"stamp": stamp.to_json(), **asdict(provenance)}, indent=2) + "\n", path)
    save_text(pages.page("About this run", _body(provenance)), html)


def _body(provenance: Provenance) -> str:
    facts = {
        "Study": provenance.study or "the paper's own folders",
        "Revision": _revision_in_words(provenance.revision),
        "Package": f"nctransfer {provenance.package['nctransfer']}",
        "This page: Python": f"{provenance.python} on {provenance.system}",
        "This page: libraries": _versions(provenance.libraries),
        "Written": provenance.written,
    }
    rows = "".join(
        f"<tr><th scope=row>{name}</th><td>{pages.escape(text)}</td></tr>\n" for name, text in facts.items()
    )
    plain = dict(provenance.configuration)
    configuration = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)
    return (
        f"<table class='text facts'>\n<tbody>\n{rows}</tbody>\n</table>\n"
        f"<h2>What made the results</h2>\n{_made_with(provenance)}"
        f"<h2>Jobs by rule and machine</h2>\n{_jobs(provenance.jobs)}"
        f"{_adoptions(provenance.adoptions)}"
        "<h2>Configuration</h2>\n<p>Complete, every default filled in; models that follow from it "
        "(snapshots, fine-tuning runs) are left out.</p>\n"
        f"<details><summary>Show it (YAML)</summary>\n<pre>{pages.escape(configuration)}</pre>\n</details>\n"
    )


def _made_with(provenance: Provenance) -> str:
    warnings = "".join(f"<li>{pages.escape(mixture)}</li>\n" for mixture in provenance.mixtures)
    if warnings:
        warnings = (
            "<p><strong>Results that are shown together were made with different software or devices:"
            f"</strong></p>\n<ul>\n{warnings}</ul>\n"
        )
    rows = [
        (
            ", ".join(record.rules) or "not recorded",
            _versions(record.versions) or "not recorded",
            record.device,
            str(record.threads or "not recorded"),
            record.precision,
            record.identity,
        )
        for record in provenance.made_with
    ]
    columns = ("Rules", "Software", "Device", "Threads", "Forward pass in", "Files told apart by")
    return warnings + pages.table(columns, rows, "text")


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _jobs(jobs: Sequence[Job]) -> str:
    if not jobs:
        return "<p>No job's log tells of it.</p>\n"
    rows = [
        (*place, str(threads), str(count), *map(_duration, times))
        for *place, threads, count, times in ((*row[:5], row[5:]) for row in summary(jobs))
    ]
    columns = ("Rule", "Host", "Device", "Threads", "Jobs", "Total", "Longest", "Time of cores")
    ends = [datetime.fromisoformat(job["start"]) + timedelta(seconds=job["seconds"]) for job in jobs]
    total = _duration(sum(job["seconds"] for job in jobs))
    return (
        f"<p>{len(jobs)} jobs between {jobs[0]['start']} and {max(ends).isoformat(timespec='seconds')}, "
        f"{total} together. A job counts as it last ran: a training that was interrupted from where "
        "it went on.</p>\n" + pages.table(columns, rows, "jobs")
    )


def _adoptions(adoptions: Sequence[Adoption]) -> str:
    if not adoptions:
        return ""
    rows = []
    for one in adoptions:
        revision = _revision_in_words(one.revision)
        rows.append((one.when, revision, one.reason, str(len(one.jobs)), ", ".join(one.modules)))
    return (
        "<h2>Adopted results</h2>\n<p>Code changed after these jobs had run. Whoever changed it declared "
        "that no result depends on the change, so the results were kept.</p>\n"
        + pages.table(("When", "Revision", "Reason", "Jobs", "Modules that differ"), rows, "text")
    )


def _revision_in_words(revision: Mapping[str, Any]) -> str:
    if revision["commit"] is None:
        return f"unknown: {revision['reason']}"
    changed = len(revision["changed_files"])
    if not changed:
        return f"{revision['commit']}, unchanged"
    return f"{revision['commit']}, {changed} file{'s' if changed > 1 else ''} changed since"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {seconds:02} s"
