"""The benchmarks still run, and their rows become a table."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.slow
def test_a_step_of_the_gpu_script_gives_rows(tmp_path: Path) -> None:
    """On a CPU and small; importing it imports the benchmarks of all stages that it times."""
    rows = tmp_path / "rows.jsonl"
    command = [sys.executable, BENCHMARKS / "gpu.py", "training", "--small", "--device", "cpu"]
    subprocess.run(command, check=True, env=os.environ | {"BENCHMARK_ROWS": str(rows)}, capture_output=True)
    table = subprocess.run(
        [sys.executable, BENCHMARKS / "summary.py", rows], check=True, capture_output=True, text=True
    ).stdout
    header, *lines = table.splitlines()
    assert " ".join(header.split()) == "stage ours floor ours / floor peer peer's peer's / ours"
    assert "DataLoader loop" in lines[0]
    assert "PGD-7" in lines[1]


@pytest.mark.slow
def test_the_gpu_script_names_the_steps_that_fail(tmp_path: Path) -> None:
    script = [BENCHMARKS / "gpu.sh", tmp_path]
    env = os.environ | {"PYTHON": "/bin/false"}
    run = subprocess.run(script, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout.count("failed or timed out") == run.stdout.count("== ") > 1
