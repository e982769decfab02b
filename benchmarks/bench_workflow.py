"""What planning costs: a dry run of the whole paper, and a run that finds nothing to do.

    python benchmarks/bench_workflow.py

Everything is planned in a copy of the project. For the second, every output is an empty file
that Snakemake records as made by its job (``--touch``).
"""

import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "config.yaml", "config", "profiles", "workflow", "nctransfer")


def run(folder: Path, *options: str) -> tuple[str, float]:
    """Output and seconds of Snakemake on all figures and tables."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-j2", "--nocolor", *options, "--", "all"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout + done.stderr, seconds


def peak() -> float:
    """Most memory that any child has taken so far, in MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)
        planned, seconds = run(folder, "-n")
        total = re.search(r"^total +(\d+)", planned, re.MULTILINE)
        print(f"dry run of the whole paper: {total and total[1]} jobs, {seconds:.1f} s, {peak():.0f} MB")
        clustered, seconds = run(folder, "-n", "--workflow-profile", "profiles/slurm")
        submissions = len(re.findall(r"^Job \d+:", clustered, re.MULTILINE)) + clustered.count("Group job")
        print(f"the same with profiles/slurm: {submissions} submissions, {seconds:.1f} s, {peak():.0f} MB")
        for row in run(folder, "--summary")[0].splitlines():
            if "\t" in row and not row.startswith("output_file"):
                path = folder / row.split("\t")[0]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        run(folder, "--touch")
        done, seconds = run(folder)
        if "Nothing to be done" not in done:
            raise SystemExit(done)
        print(f"nothing to do: {seconds:.1f} s, {peak():.0f} MB (most of all runs)")


if __name__ == "__main__":
    main()
