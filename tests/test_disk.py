"""A disk that fills up: one clear error, nothing under a final name, and a rerun with room ends the same."""

import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import torch
from project import Project

from nctransfer.runtime.machine_errors import explain
from nctransfer.stamp import UNSTAMPED
from nctransfer.storage.stores import create_store
from nctransfer.storage.tables import write_table
from nctransfer.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

FIGURE = "figures/tiny/fig3.pdf"
POINTS = 10
BLOCK = 4


@contextmanager
def disk(folder: Path, kilobytes: int):
    """A small disk at a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = [
        "mount",
        "-t",
        "tmpfs",
        "-o",
        f"size={max(kilobytes // BLOCK, 1) * BLOCK}k",
        "tmpfs",
        str(folder),
    ]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no small disk can be made here (root can mount a tmpfs): {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=500m", str(folder)], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    project = Project.small(tmp_path_factory.mktemp("undisturbed") / "p")
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr
    return project.contents("results", "figures")


def kilobytes(contents: dict[str, bytes]) -> int:
    return sum(-(-len(text) // (BLOCK * 1024)) * BLOCK for text in contents.values())


def recovers(project: Project, full: subprocess.CompletedProcess, mounted: Path, expected: dict[str, bytes]):
    output = full.stdout + full.stderr
    assert full.returncode != 0
    assert "No space left on device" in output or "the disk is full" in output
    for name, contents in project.contents("results", "figures").items():
        assert ".partial-" not in name
        if "/checkpoints/" not in name:  # what a training leaves while it runs
            assert contents == expected[name], name
    make_room(mounted)
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert project.contents("results", "figures") == expected


@pytest.mark.parametrize("point", range(POINTS))
def test_results_that_do_not_fit(undisturbed, tmp_path, point):
    results = {name: text for name, text in undisturbed.items() if name.startswith("results/")}
    project = Project.small(tmp_path / "p")
    mounted = project.folder / "results"
    with disk(mounted, int(kilobytes(results) * (point + 0.5) / POINTS)):
        full = project.run(FIGURE)
        told = re.findall(
            r"^error in rule (\w+) \(.*\):\n(\S+): the disk is full \(", full.stderr, re.MULTILINE
        )
        assert told, full.stderr
        assert all(file.startswith("results/tiny/") for _, file in told)
        assert "Traceback" not in full.stderr
        recovers(project, full, mounted, undisturbed)


@pytest.mark.parametrize("point", range(3))
def test_a_disk_that_holds_the_whole_project(undisturbed, tmp_path, point):
    """Snakemake's own files do not fit either."""
    with disk(tmp_path / "d", 100_000):
        project = Project.small(tmp_path / "d" / "p")
        used = subprocess.run(
            ["df", "-k", "--output=used", str(tmp_path / "d")], capture_output=True, text=True, check=True
        )
        sources = int(used.stdout.split()[1])
    with disk(tmp_path / "d", sources + int(kilobytes(undisturbed) * (point + 0.5) / 3)):
        project = Project.small(tmp_path / "d" / "p")
        recovers(project, project.run(FIGURE), tmp_path / "d", undisturbed)


def checkpoint(folder: Path) -> None:
    Checkpoints(folder, UNSTAMPED, 0).save(1, 0, {"weights": torch.zeros(200_000)})


def table(folder: Path) -> None:
    write_table(folder / "t.parquet", pd.DataFrame({"x": torch.rand(100_000).numpy()}))


def array(folder: Path) -> None:
    with create_store(folder / "s" / "manifest.json", "features") as store:
        store.put("a", torch.zeros(200_000).numpy())


@pytest.mark.parametrize("write", [checkpoint, table, array])
def test_every_writer_tells_that_the_disk_is_full(tmp_path, write):
    with disk(tmp_path / "d", 400):
        with pytest.raises(Exception) as caught:
            write(tmp_path / "d")
        assert "the disk is full" in (explain(caught.value, "there") or "")
        assert [path for path in (tmp_path / "d").rglob("*") if path.is_file()] == []
