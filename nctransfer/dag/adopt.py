"""Adopt: declare that a code change altered no result, so that the existing outputs are kept.

    python -m nctransfer.dag.adopt --configfile mine.yaml                       # lists what it would keep
    python -m nctransfer.dag.adopt --configfile mine.yaml --yes --reason "..."  # keeps it

Outputs are kept if their stamp differs from the plan's only in the code: same settings, same inputs, and all
bytes match their checksums. They get the plan's stamp, and Snakemake's records the corresponding parameter.
The ledger ``adoptions.json`` in the study's results stores time, commit, reason and the modules that
differed; REPORT.md and the provenance page show it. All other outputs are made again.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nctransfer.dag.command_line import parse, parser_of, plan_of
from nctransfer.dag.digest import reached_code
from nctransfer.dag.job import Job
from nctransfer.dag.plan import Plan
from nctransfer.dag.store_contents import store_contents
from nctransfer.dag.views import SHARDS
from nctransfer.errors import ConfigError, NCTransferError, StoreError
from nctransfer.runtime import study_lock
from nctransfer.runtime.job_log import read_lines
from nctransfer.stamp import Stamp
from nctransfer.storage.ledger import LEDGER, Adoption, read_ledger, write_ledger
from nctransfer.storage.restamp import restamp, verify
from nctransfer.storage.stamps import read_stamp
from nctransfer.versions import revision

METADATA = Path(".snakemake/metadata")
# Files that carry the stamp of a rule's jobs; each * is a wildcard, in the order of the rule.
STAMPED = {
    "images": ("{results}/images/*/train/manifest.json", "{results}/images/*/test/manifest.json"),
    "pretrain": ("{results}/pretraining/*/manifest.json",),
    "model": ("{results}/models/*/manifest.json",),
    "features": ("{results}/features/*/*/train/manifest.json", "{results}/features/*/*/test/manifest.json"),
    "features_shard": tuple(
        f"{{results}}/{SHARDS}/*/*/*/{split}/manifest.json" for split in ("train", "test")
    ),
    "finetune": ("{results}/finetuning/*/manifest.json",),
    "probes": ("{results}/probes/*/*/manifest.json",),
    **{
        rule: (f"{{results}}/{rule}/*/*.parquet",)
        for rule in ("metrics", "classifier_metrics", "head_metrics", "few_shot", "scores")
    },
    "ranking": ("{results}/rank/*.parquet", "{results}/agreement/*.parquet"),
    "figure": ("{figures}/*.json",),
    "table": ("{tables}/*.json",),
    "chance": ("{results}/scorecard-chance.json",),
    "scorecard": ("{results}/scorecard.json",),
}
# Checkpoints of interrupted trainings and fine-tuning runs carry the stamp of their job.
CHECKPOINTS = "{results}/checkpoints/*/*/manifest.json"
ABOUT = ("overview", "provenance")


@dataclass(frozen=True)
class Output:
    """A file that carries a stamp, and the job that makes it."""

    path: Path
    job: Job
    old: Stamp


@dataclass
class Inventory:
    """The existing outputs of a plan (of the present code), and which of them can be kept."""

    plan: Plan
    kept: list[Output] = field(default_factory=list)
    refused: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_path: dict[Path, Output] = {}
        self._by_job: dict[str, list[Output]] = {}
        self._refusals: dict[str, str | None] = {}  # by digest of the job
        for path, job in self._files():
            try:
                output = Output(path, job, read_stamp(path))
            except StoreError as error:
                # the job runs again, and with it everything made from any of its outputs
                self.refused[path] = str(error).removeprefix(f"{path}: ")
                self._refusals[job.stamp.digest] = f"{path.name} carries no stamp"
                continue
            self._by_path[path] = output
            self._by_job.setdefault(job.stamp.digest, []).append(output)
        for output in self._by_path.values():
            if output.old.digest == output.job.stamp.digest:
                continue
            if reason := self._refusal(output.job):
                self.refused[output.path] = reason
            else:
                self.kept.append(output)

    def modules(self) -> list[str]:
        """Modules, exception classes and settings that have changed since the kept outputs were made."""
        differing: set[str] = set()
        for output in self.kept:
            parts = reached_code(self.plan.root, str(output.job.script), output.job.variants).parts
            differing |= {name for name, part in parts.items() if part not in output.old.parts}
        return sorted(differing)

    def seconds(self) -> dict[str, float]:
        """Duration of the jobs of the kept outputs, by their old digest, if their logs are complete."""
        lines = read_lines(Path(self.plan.logs), self.plan.configuration.study)
        return {line["digest"]: line["seconds"] for line in lines if "digest" in line}

    def _files(self) -> Iterator[tuple[Path, Job]]:
        """Every existing file that carries the stamp of a job of the plan."""
        patterns = [(pattern, rule) for rule, several in STAMPED.items() for pattern in several]
        for pattern, rule in (*patterns, (CHECKPOINTS, None)):
            yield from self._matching(pattern, rule)

    def _matching(self, pattern: str, rule: str | None) -> Iterator[tuple[Path, Job]]:
        plan = self.plan
        glob = pattern.format(results=plan.results, figures=plan.figures, tables=plan.tables)
        keys_of = re.compile("([^/]+)".join(map(re.escape, glob.split("*"))))
        for path in sorted(Path().glob(glob)):
            matched = keys_of.fullmatch(path.as_posix())
            keys = matched.groups() if matched else ()
            if rule is None:  # the second part is the epoch, which is no key of the job
                keys, stage = keys[:1], "finetune" if keys[0] in plan.run_keys else "pretrain"
            else:
                stage = rule
            try:
                yield path, getattr(plan, stage)(*keys)
            except (ConfigError, KeyError):
                continue  # not part of this configuration: made with another overlay

    def _refusal(self, job: Job) -> str | None:
        """Why the outputs of a job cannot be kept; None if they can, or if they are up to date."""
        digest = job.stamp.digest
        if digest not in self._refusals:
            reasons = map(self._reason, self._by_job[digest])
            self._refusals[digest] = next(filter(None, reasons), None)
        return self._refusals[digest]

    def _reason(self, output: Output) -> str | None:
        old, new, inputs = output.old, output.job.stamp, output.job.inputs
        if old.digest == new.digest:
            return None
        if old.told != new.told or set(old.made_by) != set(new.made_by):
            return "its settings, or the files that it is made from, have changed"
        for name, digest in old.made_by.items():
            source = self._source(Path(inputs[name]))
            if source is None:
                # deleted when they were joined; what they were made from is an input of the whole too
                if f"/{SHARDS}/" in inputs[name]:
                    continue
                return f"its input {inputs[name]} is missing, or carries no stamp"
            if source.old.digest != digest:
                return f"its input {inputs[name]} is not the one that it was made from"
            if reason := self._refusal(source.job):
                return f"its input {inputs[name]} is made again: {reason}"
        written = output.path.stat().st_mtime
        for name in set(inputs) - set(old.made_by):
            path = Path(inputs[name])
            if not path.is_file() or path.stat().st_mtime > written:
                return f"its input {path} is newer, or missing"
        try:
            verify(output.path)
        except StoreError as error:
            return f"damaged: {error}"
        return None

    def _source(self, path: Path) -> Output | None:
        """The output that contains an input; for a table in a store, the store's manifest."""
        return self._by_path.get(path) or self._by_path.get(path.with_name("manifest.json"))


def adopt(inventory: Inventory, reason: str) -> Adoption:
    """Keep the outputs that can be kept: write the ledger, then the stamps, then Snakemake's records.

    Stamps are written downstream first, so that an interrupted command can simply be repeated.
    """
    plan = inventory.plan
    jobs = {(one.job.rule, one.job.keys, one.old.digest, one.job.stamp.digest) for one in inventory.kept}
    # of deleted shards Snakemake has records
    jobs |= {
        (part.rule, part.keys, one.old.made_by[name], digest)
        for one in inventory.kept
        for name, digest in one.job.stamp.made_by.items()
        for part in one.job.parents
        if part.rule == "features_shard" and part.stamp.digest == digest
    }
    entry = Adoption(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        revision=revision(plan.root),
        reason=reason,
        modules=inventory.modules(),
        jobs=[
            {"rule": rule, "keys": list(keys), "old": old, "new": new}
            for rule, keys, old, new in sorted(jobs)
        ],
    )
    write_ledger(Path(plan.results), entry)
    for output in _downstream_first(inventory.kept):
        restamp(output.path, output.job.stamp, output.job.inputs)
    _update_records(plan, read_ledger(Path(plan.results)))
    return entry


def _downstream_first(outputs: Sequence[Output]) -> list[Output]:
    """Sort so that the jobs that read an output come before it."""
    by_digest = {output.job.stamp.digest: output.job for output in outputs}
    depths: dict[str, int] = {}

    def depth(digest: str) -> int:
        if digest not in depths:
            above = by_digest[digest].stamp.made_by.values()
            depths[digest] = 1 + max((depth(parent) for parent in above if parent in by_digest), default=0)
        return depths[digest]

    return sorted(outputs, key=lambda output: depth(output.job.stamp.digest), reverse=True)


def _update_records(plan: Plan, ledger: Sequence[Adoption]) -> None:
    """Give Snakemake's records of kept files the present parameter and inputs of their jobs."""
    adopted = {job["old"]: job for entry in ledger for job in entry.jobs}
    for path in METADATA.rglob("*"):
        if not path.is_file():
            continue
        try:
            record = json.loads(path.read_text())
            (parameter,) = record["params"]
            digest = ast.literal_eval(parameter)["stamp"]["digest"]
        except (ValueError, SyntaxError, KeyError, TypeError):
            continue  # from another workflow, or incomplete
        if digest not in adopted:
            continue
        while digest in adopted and adopted[digest]["new"] != digest:
            job, digest = adopted[digest], adopted[digest]["new"]
        planned = getattr(plan, job["rule"])(*job["keys"])
        if planned.stamp.digest == digest:
            # for stores of the older layout, the rules did not declare their contents
            inputs = sorted({*record["input"], *store_contents(planned, plan.results)})
            path.write_text(json.dumps(record | {"params": [repr(planned.told())], "input": inputs}))


def listing(inventory: Inventory) -> Iterator[str]:
    """Lines that list what would be kept and what not."""
    seconds, kept = inventory.seconds(), inventory.kept
    jobs = {(output.job.rule, output.job.keys): (output.old, output.job.stamp) for output in kept}
    for (rule, keys), (old, new) in sorted(jobs.items()):
        took = f"{seconds[old.digest] / 3600:.2f} h" if old.digest in seconds else "? h"
        yield f"  {rule} {' '.join(keys)}: {took}, {old.digest} -> {new.digest}"
    hours = sum(seconds.get(old.digest, 0.0) for old, _ in jobs.values()) / 3600
    if kept:
        counts = Counter(rule for rule, _ in jobs)
        rules = ", ".join(f"{count} {rule}" for rule, count in sorted(counts.items()))
        yield f"{len(jobs)} jobs can be kept, {hours:.2f} hours of work: {rules}."
        yield f"Modules that differ: {', '.join(inventory.modules()) or 'none'}."
    else:
        yield "Nothing to keep: no output differs from the plan only in its code."
    if inventory.refused:
        yield "Not kept; these run again if a target needs them:"
        yield from (f"  {path}: {reason}" for path, reason in sorted(inventory.refused.items()))


def _refresh_pages(plan: Plan, arguments: argparse.Namespace) -> None:
    """Rewrite the pages that show the ledger, if they exist."""
    pages = (f"{plan.results}/REPORT.md", f"{plan.results}/provenance.json")
    targets = [page for page in pages if Path(page).is_file()]
    shown = plan.overview()
    for name, digest in shown.stamp.made_by.items():
        path = Path(shown.inputs[name])
        if not path.is_file() or read_stamp(path).digest != digest:
            return  # they are rewritten together with what runs again
    if not targets:
        return
    options = ["--configfile", *map(str, arguments.configfile)] if arguments.configfile else []
    options += ["--config", *arguments.config] if arguments.config else []
    command = [sys.executable, "-m", "snakemake", "-s", str(plan.root / "Snakefile"), "-j1", "--quiet", "all"]
    subprocess.run([*command, *options, "--allowed-rules", *ABOUT, "--", *targets], check=True)


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = parser_of("nctransfer.dag.adopt", __doc__)
    keep = "keep the outputs; without it they are only listed"
    parser.add_argument("--yes", action="store_true", help=keep)
    parser.add_argument("--reason", help="why no result depends on the change; goes into the ledger")
    arguments = parse(parser, words)
    if arguments.yes and not (arguments.reason or "").strip():
        parser.error("--yes needs --reason, which the report shows to its readers")
    try:
        plan = plan_of(arguments)
        if arguments.yes:
            study_lock.begin(plan.configuration.study, lambda text: print(text, file=sys.stderr))
        inventory = Inventory(plan)
        sys.stdout.write("".join(f"{line}\n" for line in listing(inventory)))
        if not inventory.kept:
            return 0
        if not arguments.yes:
            print('Nothing was changed. To keep them, repeat the command with --yes --reason "..."')
            return 0
        entry = adopt(inventory, arguments.reason.strip())
        study_lock.end()
        _refresh_pages(plan, arguments)
        sys.stdout.write(f"Kept {len(entry.jobs)} jobs; see {plan.results}/{LEDGER}.\n")
    except NCTransferError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
