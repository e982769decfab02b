"""Fixtures shared by all tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from project import Project

REPOSITORY = Path(__file__).resolve().parents[1]
# Files that take longest begin first (with xdist's --no-loadscope-reorder), lest one worker end long before the other.
FIRST = (
    "test_slurm", "test_kill", "test_demo", "test_real", "test_finetuning_workflow", "test_workflow",
    "test_few_shot_workflow", "test_ranking", "test_scorecard", "test_paper",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file; the order within one is kept."""
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch) -> None:
    """Between the tries of a download."""
    monkeypatch.setattr("nctransfer.runtime.transfer.FIRST_PAUSE", 0.01)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real images and weights; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("NCTRANSFER_SHARED", REPOSITORY.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images and weights at {folder} (set NCTRANSFER_SHARED to their parent)")
    return folder


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Folder with the metrics' published test vectors."""
    return REPOSITORY / "tests" / "vectors"


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """A project whose Figure 3 is drawn; tests work on clones. Some modules have one of their own."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # a folder of all workers, of which one draws it
        shared = shared.parent
    with FileLock(shared / "finished.lock"):
        if not (shared / "finished").exists():
            project = Project.small(tmp_path_factory.mktemp("first") / "p")
            run = project.run("figures/tiny/fig3.pdf")
            assert run.returncode == 0, run.stdout + run.stderr
            project.folder.rename(shared / "finished")
    return Project(shared / "finished").clone(tmp_path_factory.mktemp("finished") / "p")


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """A clone of the finished project."""
    return finished.clone(tmp_path / "p")


@pytest.fixture
def planned_project(finished) -> Iterator[Project]:
    """The finished project, which may be changed, but not run: its files are put back."""
    with finished.restored():
        yield finished


@pytest.fixture(scope="session")
def file_storage() -> None:
    """Snakemake's storage plugin ``fs`` works here; tests that need it skip where rsync is absent."""
    if shutil.which("rsync") is None:
        if os.environ.get("NCTRANSFER_REQUIRE_RSYNC") == "1":
            pytest.fail("no rsync on the path, and NCTRANSFER_REQUIRE_RSYNC=1 asks for it")
        pytest.skip("no rsync on the path, which the storage plugin fs needs")
