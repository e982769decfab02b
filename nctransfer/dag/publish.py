"""Publish: what a study shows as PNG and Markdown in one folder, for a repository or a wiki.

    python -m nctransfer publish docs/results --configfile config/small.yaml

Pictures, tables and the scorecard are copied as the workflow made them; ``run.md`` says when, with what and
in what time, by rule and by figure or table.
"""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nctransfer.config.kinds import SECTIONS
from nctransfer.dag.command_line import parse, parser_of, plan_of
from nctransfer.dag.cost import Name, Prices, prices, records, span, targets, where
from nctransfer.dag.job import Job
from nctransfer.dag.plan import Plan
from nctransfer.errors import DataError, NCTransferError
from nctransfer.runtime.job_log import cores_time
from nctransfer.storage.files import save_text
from nctransfer.storage.stamps import read_stamp

SHOWN = {"figures": "png", "tables": "md"}


def files_shown(plan: Plan) -> list[Path]:
    """Pictures, tables and scorecard of a study, relative to the project.

    DataError if one is missing, or was made of other data, settings or code than it is planned with.
    """
    jobs = {
        Path(getattr(plan, section), f"{key}.{SHOWN[section]}"): plan.picture(section, key)
        for section in SECTIONS
        for key in plan.reported(section)
    }
    jobs[Path(plan.results, "scorecard.md")] = plan.scorecard()
    if wrong := [str(path) for path, job in jobs.items() if not _is_made(path, job)]:
        raise DataError(f"not made, or not as planned: {', '.join(wrong)}; run snakemake first")
    return list(jobs)


def _is_made(path: Path, job: Job) -> bool:
    sidecar = path.with_suffix(".json")
    return path.is_file() and sidecar.is_file() and read_stamp(sidecar).digest == job.stamp.digest


def page(plan: Plan) -> str:
    """Markdown of ``run.md``: when, with what, and the time by rule and by figure or table."""
    wanted = targets(plan, ["all"])
    ran = records(plan)
    names = list(dict.fromkeys(name for needed in wanted.values() for name in needed))
    price = Prices(plan, prices(plan, None, ran).gpu)  # of the device that was used, and not corrected by it

    def row(label: str, jobs: Iterable[Name]) -> str:
        done = [name for name in jobs if name in ran]
        own = [ran[name] for name in done]
        hours = sum(record["seconds"] for record in own) / 3600, sum(map(cores_time, own)) / 3600
        share = price.together(done)
        return f"| {label} | {len(done):,} | {' | '.join(map(span, (*hours, share.gpu + share.cpu)))} |"

    heads = f"| jobs | their time | time of cores | estimated {where(price.gpu)} |\n|---|--:|--:|--:|--:|"
    rules = {
        rule: [name for name in names if name[0] == rule] for rule in sorted({name[0] for name in names})
    }
    done = [ran[name] for name in names if name in ran]
    lines = [
        "# How this was made\n",
        f"{len(done):,} of {len(names):,} jobs. {_circumstances(done)}\n",
        f"| rule {heads}",
        *(row(f"`{rule}`", jobs) for rule, jobs in rules.items()),
        row("together", names),
        "\nFigures and tables share most of their jobs:\n",
        f"| alone {heads}",
        *(row(f"`{target}`", jobs) for target, jobs in wanted.items()),
    ]
    return "\n".join(lines) + "\n"


def _circumstances(done: Sequence[Mapping[str, Any]]) -> str:
    """When and with what jobs ran, in sentences."""
    days = sorted({record["start"][:10] for record in done})
    devices = sorted({f"{record['device_name']} ({record['threads']} of its cores a job)" for record in done})
    versions = dict(sorted({pair for record in done for pair in record["versions"].items()}))
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    continued = sum(record["continued"] for record in done)
    said = f"{' to '.join(dict.fromkeys((days[0], days[-1])))}, on {'; '.join(devices)}; {used}."
    return (
        f"{said} Of {continued} interrupted trainings only the last part is counted." if continued else said
    )


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = parser_of("nctransfer publish", __doc__)
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where to copy to; made if it is not there"
    )
    arguments = parse(parser, words)
    try:
        plan = plan_of(arguments)
        files = files_shown(plan)
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(file, arguments.folder / file.name)
        save_text(page(plan), arguments.folder / "run.md")
    except NCTransferError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{arguments.folder} (run.md: when, with what and in what time)\n")
    return 0
