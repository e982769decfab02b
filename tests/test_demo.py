"""`make demo` as a person would type it, in a folder of its own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from project import ROOT, Project

pytestmark = pytest.mark.slow


def make_demo(project: Project) -> subprocess.CompletedProcess:
    # -o: the environment is there already, that of these tests
    typed = ["make", "-o", ".venv/.ready", "demo"]
    return subprocess.run(typed, cwd=project.folder, capture_output=True, text=True, check=False)


def state(project: Project) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes())
        for path in project.folder.rglob("*")
        if path.is_file() and not {".snakemake", ".venv"} & set(path.relative_to(project.folder).parts)
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project.fresh(tmp_path_factory.mktemp("demo") / "p")
    shutil.copy2(ROOT / "Makefile", project.folder)
    (project.folder / ".venv").symlink_to(Path(sys.prefix))
    return project


def test_the_demo_draws_its_figure_and_then_has_nothing_to_do(project):
    run = make_demo(project)
    assert run.returncode == 0, run.stdout + run.stderr
    for suffix in ("pdf", "png", "csv"):
        assert (project.folder / f"figures/demo/fig3.{suffix}").is_file()
    table = pd.read_csv(project.folder / "figures/demo/fig3.csv")
    assert list(table["unit"]) == list(range(1, 17))
    assert table["nc1_slope"].iloc[0] < 0  # the paper's law: the lower NC1, the better the probe
    assert table["nc1_r2"].iloc[0] > 0.5
    assert table["transfer_accuracy"].max() > 85

    before = state(project)
    run = make_demo(project)
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout + run.stderr
    assert state(project) == before
