"""Copy what the small study shows to this folder, and write run.md: how, when and in what time it was made.

    python docs/results/publish.py --configfile config/small.yaml [overlay.yaml ...]

Pictures (PNG), tables and the scorecard (Markdown) are copied as the workflow made them.
"""

import argparse
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nctransfer.config.kinds import SECTIONS
from nctransfer.config.load import load
from nctransfer.dag.cost import NO_GPU, Name, Prices, records, span, targets
from nctransfer.dag.plan import Plan
from nctransfer.reporting.provenance import LIBRARIES
from nctransfer.versions import library_versions, revision

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def shown(plan: Plan) -> list[Path]:
    """What the study shows, as the workflow made it, relative to the project."""
    pictures = {section: plan.reported(section) for section in SECTIONS}
    figures = [Path(plan.figures, f"{name}.png") for name in pictures["figures"]]
    tables = [Path(plan.tables, f"{name}.md") for name in pictures["tables"]]
    return [*figures, *tables, Path(plan.results, "scorecard.md")]


def run_page(plan: Plan) -> Iterator[str]:
    """Lines of run.md."""
    ran = records(plan)
    wanted = targets(plan, ["all"])
    names = list(dict.fromkeys(name for needed in wanted.values() for name in needed))
    if missing := [name for name in names if name not in ran]:
        yield f"**{len(missing)} of {len(names)} jobs have not run.**\n"

    price = Prices(plan, NO_GPU)

    def row(label: str, jobs: Iterable[Name]) -> str:
        done = [name for name in jobs if name in ran]
        times = [sum(ran[name][key] for name in done) / 3600 for key in ("seconds", "cpu_seconds")]
        cells = map(span, (*times, price.together(done).cpu))
        return f"| {label} | {len(done):,} | {' | '.join(cells)} |"

    heads = "| jobs | their time | time of cores | estimated |\n|---|--:|--:|--:|--:|"
    yield f"## By rule\n\n| rule {heads}"
    for rule in dict.fromkeys(sorted(name[0] for name in names)):
        yield row(f"`{rule}`", [name for name in names if name[0] == rule])
    yield row("together", names)
    yield f"\n## By figure and table\n\nFigures share most of their jobs.\n\n| figure or table, alone {heads}"
    yield from (row(f"`{target}`", needed) for target, needed in wanted.items())
    lines = list(ran.values())
    began, ended = min(line["start"] for line in lines), max(line["start"] for line in lines)
    machines = sorted({f"{line['device_name']}, {line['threads']} core a job" for line in lines})
    continued = sum(line["continued"] for line in lines)
    versions = ", ".join(f"{name} {number}" for name, number in library_versions(LIBRARIES).items())
    yield f"\n## With what\n\n- Between {began[:10]} and {ended[:10]}, in several sittings."
    yield f"- {'; '.join(machines)}."
    yield f"- Commit {revision(ROOT)['commit'][:10]}; {versions}."
    if continued:
        yield f"- {continued} trainings were interrupted: the time of their last part is counted."


def main(words: Sequence[str] | None = None) -> None:
    """Publish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--configfile", nargs="+", type=Path, required=True)
    plan = Plan(load([ROOT / "config.yaml"], parser.parse_args(words).configfile), ROOT)
    for path in shown(plan):
        shutil.copy(ROOT / path, HERE)
    (HERE / "run.md").write_text("# How the small study was made\n\n" + "\n".join(run_page(plan)) + "\n")


if __name__ == "__main__":
    main()
