"""Cost: what targets need, before anything runs: time by target and by rule, memory, disk, downloads.

    python -m nctransfer cost --configfile mine.yaml figures/mine/layers.pdf rank
    python -m nctransfer cost --gpu h200 all

A dry run ends with the same numbers for the jobs that would run. Estimates come from the table of devices
in ``nctransfer.dag.speeds``. Jobs of the study that have run correct them: each rule by the median of
measured to estimated times. "GPU" is the time of jobs that hold a GPU, "CPU" the core hours of all others.
"""

import logging
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from nctransfer.config.kinds import SECTIONS
from nctransfer.config.ranking import picture_keys
from nctransfer.dag import speeds
from nctransfer.dag.command_line import parse, parser_of, plan_of
from nctransfer.dag.estimates import ESTIMATES, Need, Needs
from nctransfer.dag.job import Job
from nctransfer.dag.plan import Plan
from nctransfer.errors import ConfigError, NCTransferError
from nctransfer.runtime.job_log import lines_of, read_lines
from nctransfer.suggestions import suggestion

NO_GPU = "none"
GPUS = (*speeds.GPUS, NO_GPU)
# Where nothing tells the GPU; one that is not in the table counts as this one too.
USUAL_GPU = "a100"
SAID_EVERY = 60.0  # seconds between two lines about what is left

Name = tuple[str, ...]  # rule and keys of a job


@dataclass(frozen=True)
class Share:
    """What some jobs need together."""

    jobs: int = 0
    gpu: float = 0.0  # hours
    cpu: float = 0.0  # core hours
    disk: float = 0.0  # MB

    def __add__(self, other: "Share") -> "Share":
        sums = self.jobs + other.jobs, self.gpu + other.gpu, self.cpu + other.cpu, self.disk + other.disk
        return Share(*sums)

    def cells(self) -> tuple[str, ...]:
        """As text: jobs, time of GPUs and of CPU cores, disk."""
        return f"{self.jobs:,}", span(self.gpu), span(self.cpu), size(self.disk)


@dataclass
class Prices:
    """What the jobs of a plan need on a device, corrected by those that have run on it."""

    plan: Plan
    gpu: str
    _ratios: dict[str, list[float]] = field(default_factory=dict)  # measured to estimated times, by rule
    _needs: dict[Name, Need] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._estimates = Needs(self.plan, self.gpu)

    @property
    def measured(self) -> int:
        """Number of jobs that correct the estimates."""
        return sum(map(len, self._ratios.values()))

    def learn(self, name: Name, record: Mapping[str, Any]) -> None:
        """Correct the estimates by a job's log line, if it ran whole and on this device."""
        if record.get("continued"):
            return
        need = self.need(name)  # a download may have been done before
        if not need.download and (name[0] not in Needs.rules_on_gpu or device_of(record) == self.gpu):
            self._ratios.setdefault(name[0], []).append(record["seconds"] / need.seconds)

    def need(self, name: Name) -> Need:
        """Estimate of a job, as the table of devices has it."""
        if name not in self._needs:
            self._needs[name] = self._estimates.need(*name)
        return self._needs[name]

    def seconds(self, names: Iterable[Name]) -> dict[Name, float]:
        """Times of jobs, corrected; of those with the same download, only the first has it."""
        medians = {rule: statistics.median(ratios) for rule, ratios in self._ratios.items()}
        found, fetched = {}, set[str]()
        for name in names:
            need = self.need(name)
            fetching = need.download * speeds.MB / speeds.FETCHED
            found[name] = (need.seconds - fetching) * medians.get(name[0], 1.0)
            if fetching and need.origin not in fetched:
                found[name] += fetching
                fetched.add(need.origin)
        return found

    def by_rule(self, names: Iterable[Name]) -> dict[str, Share]:
        """What jobs need, by rule."""
        found = dict.fromkeys(ESTIMATES, Share())
        for name, seconds in self.seconds(names).items():
            rule, took, disk = name[0], seconds / 3600, self.need(name).disk
            on_gpu = rule in Needs.rules_on_gpu and not self._estimates.on_cpu
            share = Share(1, took if on_gpu else 0, 0 if on_gpu else took * self._estimates.cores(rule), disk)
            found[rule] = found.get(rule, Share()) + share
        return {rule: share for rule, share in found.items() if share.jobs}

    def together(self, names: Iterable[Name]) -> Share:
        """What jobs need together."""
        return sum(self.by_rule(names).values(), Share())

    def downloads(self, names: Iterable[Name]) -> float:
        """MB that jobs download if nothing has been; every data set and model once."""
        needs = map(self.need, names)
        return sum({need.origin: need.download for need in needs if need.download}.values())


def device_of(record: Mapping[str, Any]) -> str:
    """Name, as in the table of devices, of what a job ran on."""
    if record["device"] == "cpu":
        return NO_GPU
    named = [gpu for gpu in speeds.GPUS if gpu in record["device_name"].lower()]
    return named[0] if named else USUAL_GPU


def records(plan: Plan) -> dict[Name, dict[str, Any]]:
    """Log lines of the plan's jobs that have run as they are planned."""
    lines = read_lines(Path(plan.logs), plan.configuration.study)
    found = {(line["rule"], *line["wildcards"].values()): line for line in lines}
    return {
        name: line
        for name, line in found.items()
        if name in plan.jobs and plan.jobs[name].stamp.digest == line.get("digest")
    }


def prices(plan: Plan, gpu: str | None, ran: Mapping[Name, Mapping[str, Any]]) -> Prices:
    """Prices on a GPU, or on the device of the jobs that have run, if ``gpu`` is None."""
    if gpu is None:
        used = [device_of(record) for name, record in ran.items() if name[0] in Needs.rules_on_gpu]
        gpu = NO_GPU if plan.configuration.device == "cpu" else used[-1] if used else USUAL_GPU
    found = Prices(plan, gpu)
    for name, record in ran.items():
        found.learn(name, record)
    return found


# --- what is said ------------------------------------------------------------------------------


def summary(price: Prices, names: Sequence[Name], by_target: Mapping[str, Sequence[Name]]) -> Iterator[str]:
    """Lines that say what jobs need, by target if there are several, and by rule."""
    source = f"corrected by {price.measured} jobs that have run" if price.measured else "not measured here"
    yield f"Cost {where(price.gpu)} (estimated from nctransfer/dag/speeds.py, {source}):"
    heads = "jobs", "GPU", "CPU", "disk"
    rows = [(target, *price.together(needed).cells()) for target, needed in by_target.items()]
    if len(rows) > 1:
        yield from _aligned([("target", *heads), *rows])
    rows = [(rule, *share.cells()) for rule, share in price.by_rule(names).items()]
    yield from _aligned([("rule", *heads), *rows, ("together", *price.together(names).cells())])
    largest = max(names, key=lambda name: price.need(name).memory)
    yield (
        f"The largest job needs {size(price.need(largest).memory)} of memory ({' '.join(largest)}); at most "
        f"{size(price.downloads(names))} are downloaded."
    )
    if price.plan.configuration.device != "cpu":
        shares = {gpu: Prices(price.plan, gpu).together(names) for gpu in GPUS if gpu != price.gpu}
        others = (f"{where(gpu)} {span(share.gpu or share.cpu)}" for gpu, share in shares.items())
        yield f"Not measured here: {', '.join(others)}."


class Progress(logging.Handler):
    """Hears of Snakemake's finished jobs, and says now and then what the others need.

    ``prices`` gives prices when they are needed first. ``planned`` are the names of jobs, and where their
    logs are, by Snakemake's number.
    """

    def __init__(
        self,
        prices: Callable[[], Prices],
        planned: Mapping[int, tuple[Name, Path]],
        say: Callable[[str], object],
    ) -> None:
        super().__init__()
        self._prices, self._left, self._say = cache(prices), dict(planned), say
        self._began = self._said = time.monotonic()
        self._worked = 0.0  # seconds of jobs that have finished
        self._is_placed = False  # whether a job has told the device

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of a finished job."""
        event, number = getattr(record, "event", None), getattr(record, "job_id", None)
        if getattr(event, "name", "") == "JOB_FINISHED" and number in self._left:
            try:
                self._note(*self._left.pop(number))
            except Exception:  # which is no reason to end a run
                self.handleError(record)

    def _note(self, finished: Name, log: Path) -> None:
        price, now = self._prices(), time.monotonic()
        for line in lines_of(log) if log.is_file() else ():
            if finished[0] in Needs.rules_on_gpu and not self._is_placed:
                self._is_placed = True
                if device_of(line) != price.gpu:  # before the first such job it could only be guessed
                    self._prices.cache_clear()
                    price = self._prices()
            self._worked += line["seconds"]
            price.learn(finished, line)
        if self._left and self._worked and now - self._said >= SAID_EVERY:
            self._said = now
            names = [name for name, _ in self._left.values()]
            share, seconds = price.together(names), sum(price.seconds(names).values())
            left = span(seconds * (now - self._began) / self._worked / 3600)
            self._say(
                f"{len(names)} jobs are left, about {left} at this speed ({span(share.gpu)} of GPUs, "
                f"{span(share.cpu)} of CPU cores)"
            )


def where(gpu: str) -> str:
    """``with H200``, or ``without a GPU``."""
    return "without a GPU" if gpu == NO_GPU else f"with {gpu.upper()}"


def span(hours: float) -> str:
    """A time in a fitting unit, to two digits."""
    return _fitting(hours, {"h": 1, "min": 60, "s": 3600})


def size(mb: float) -> str:
    """A number of MB in a fitting unit, to two digits."""
    return _fitting(mb, {"GB": 1e-3, "MB": 1})


def _fitting(value: float, units: Mapping[str, float]) -> str:
    scaled = ((value * count, unit) for unit, count in units.items())
    number, unit = next(
        (pair for pair in scaled if pair[0] >= 0.995), (value * [*units.values()][-1], [*units][-1])
    )
    return f"{number:.2g} {unit}" if 0.1 <= number < 9.95 else f"{float(f'{number:.2g}'):,.0f} {unit}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join(["", first.ljust(widths[0]), *cells])


# --- the command ---------------------------------------------------------------------------------


def jobs_for(jobs: Iterable[Job]) -> list[Name]:
    """Jobs, and all that they are made from; each once."""
    found: dict[Name, None] = {}
    pending = list(jobs)
    while pending:
        job = pending.pop()
        if (name := (job.rule, *job.keys)) not in found:
            found[name] = None
            pending += job.parents
    return list(found)


def targets(plan: Plan, words: Iterable[str]) -> dict[str, list[Name]]:
    """The jobs of every target; those that stand for several figures and tables are listed one by one."""
    found: dict[str, list[Name]] = {}
    for word in words:
        for label, job in _target(plan, word):
            found[label] = jobs_for([job])
    return found


def _target(plan: Plan, word: str) -> Iterator[tuple[str, Job]]:
    path, names, shown = PurePosixPath(word), list[str](), list[tuple[str, str]]()
    for section in SECTIONS:
        keys = list(plan.configuration.pictures(section))
        names += [f"{section}/{key}" for key in keys]
        chosen = {
            "all": plan.reported(section),
            "rank": picture_keys(plan.configuration, section),
            section: plan.asked_for(section),
        }.get(word, [])
        if str(path.parent) in (".", section, getattr(plan, section)):
            chosen = chosen or [key for key in keys if key in (path.name, path.stem)][:1]
        shown += [(section, key) for key in chosen]
    yield from ((f"{section}/{key}", plan.picture(section, key)) for section, key in shown)
    pages = {"all": ("scorecard", "overview", "provenance"), "scorecard": ("scorecard",)}.get(word, ())
    yield from ((page, getattr(plan, page)()) for page in pages)
    if not shown and not pages and word not in ("rank", *SECTIONS):
        raise ConfigError(
            f"no target {word!r}{suggestion(word, names)}; allowed: all, figures, tables, rank, scorecard, "
            "and the figures and tables of the configuration (for any other file: snakemake -n)"
        )


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = parser_of("nctransfer cost", __doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="as for snakemake; default: all")
    parser.add_argument("--gpu", choices=GPUS, help=f"default: that of jobs that have run, else {USUAL_GPU}")
    arguments = parse(parser, words)
    try:
        plan = plan_of(arguments)
        wanted = targets(plan, arguments.targets or ["all"])
        names = list(dict.fromkeys(name for needed in wanted.values() for name in needed))
        if not names:
            raise ConfigError(f"{' '.join(arguments.targets)}: the configuration has none")
        ran = records(plan)
        price = prices(plan, arguments.gpu, ran)
        lines = list(summary(price, names, wanted))
        left = [name for name in names if name not in ran]
        if len(left) < len(names):
            share = price.together(left)
            lines.append(
                f"{len(names) - len(left)} jobs have run; the other {len(left)} need {span(share.gpu)} of "
                f"GPUs and {span(share.cpu)} of CPU cores."
            )
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    except NCTransferError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0
