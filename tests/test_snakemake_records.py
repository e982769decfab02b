"""Snakemake's records beside other runs in the folder, and when they are damaged."""

import os
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from project import Project
from snakemake.persistence.file import FilePersistence

from nctransfer.runtime import snakemake_records

FIGURE = "figures/tiny/fig3.pdf"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Makes the records of a run in one folder, whose jobs read and write files named like it."""
    monkeypatch.chdir(tmp_path)

    def make(name: str) -> tuple[FilePersistence, dict]:
        records = FilePersistence()
        monkeypatch.setattr(records, "all_inputfiles", lambda: {f"{name}.in"})
        monkeypatch.setattr(records, "all_outputfiles", lambda: {f"{name}.out"})
        records.dag = SimpleNamespace(jobs=[])
        return records, snakemake_records.protect(records)

    return make


def locked_files() -> set[str]:
    return {line for path in Path(".snakemake/locks").glob("*") for line in path.read_text().split()}


def test_the_end_of_a_run_leaves_the_locks_of_others(run):
    (first, _), (second, _), (third, _) = run("a"), run("b"), run("c")
    with ExitStack() as others:
        others.enter_context(second.lock())
        with first.lock():
            assert locked_files() == {"a.in", "a.out", "b.in", "b.out"}
        assert locked_files() == {"b.in", "b.out"}
        with third.lock():  # planned before the first one ended
            assert locked_files() == {"b.in", "b.out", "c.in", "c.out"}
    assert locked_files() == set()


DAMAGE = {
    "binary": b"\xac\xed\x00\x05\xff", "a list": b"[1, 2]", "a text": b'"text"', "a number": b"7",
    "fields of other types": b'{"params": 5, "input": 3}', "deep": b"[" * 200_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_a_missing_one_and_named(run, kind):
    records, damaged = run("a")
    for folder in (records._metadata_path, records._incomplete_path):
        path = Path(records._record_path(folder, "x"))
        path.write_bytes(DAMAGE[kind])
        if folder == records._metadata_path or kind != "fields of other types":  # else nothing reads them
            assert records._io_read(folder, "x") == {}
            assert list(damaged)[-1] == str(path)
    assert records._read_record("x") is None


def test_a_lock_that_its_run_removes_meanwhile_is_none(run, monkeypatch):
    locks = Path(".snakemake/locks")
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_text("results/a\n")
    read = Path.read_text

    def after_the_end(path, *arguments, **options):
        if path.suffix == ".lock":
            path.unlink()
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", after_the_end)
    assert run("a")[1] == {}


def test_a_damaged_lock_is_removed_and_named(run):
    locks = Path(".snakemake/locks")
    locks.mkdir(parents=True)
    (locks / "0.input.lock").write_bytes(b"\xac\xed")
    (locks / "1.output.lock").write_text("results/a\n")
    records, damaged = run("a")
    assert [Path(path).name for path in damaged] == ["0.input.lock"]
    assert locked_files() == {"results/a"}
    assert not records.locked


@pytest.mark.slow
def test_results_are_judged_by_what_they_say_where_the_records_are_garbage(project):
    for path in (project.folder / ".snakemake").rglob("*"):
        if path.is_file() and "log" not in path.parts:
            path.write_bytes(b"\xac\xed\x00\x05\xff")
    dry = project.run(FIGURE, options=("-n",))
    assert dry.returncode == 0, dry.stderr
    assert (dry.stdout + dry.stderr).count("damaged and taken for missing") == 1
    assert "Nothing to be done" in dry.stdout + dry.stderr
    project.edit("tiny.yaml", "epochs: 3", "epochs: 3, learning_rates: [2e-1]")
    run = project.run(FIGURE)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    again = project.run(FIGURE, options=("-n",))
    assert "damaged" not in again.stdout + again.stderr
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.slow
def test_two_studies_in_a_folder_run_at_the_same_time_whenever_they_start(tmp_path):
    project = Project.small(tmp_path / "p")
    second = (
        project.read("tiny.yaml").replace("study: tiny", "study: other").replace("epochs: 3", "epochs: 4")
    )
    (project.folder / "other.yaml").write_text(second)
    targets = {"tiny": FIGURE, "other": FIGURE.replace("tiny", "other")}
    for seconds in (0.0, 1.0, 3.0):
        for study in targets:
            for folder in ("results", "figures"):
                shutil.rmtree(project.folder / folder / study, ignore_errors=True)
        runs = []
        for study, target in targets.items():
            command = project.command(target, overlay=f"{study}.yaml")
            options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
            runs.append(subprocess.Popen(command, cwd=project.folder, **options))
            time.sleep(seconds)
        for run in runs:
            told, _ = run.communicate()
            assert run.returncode == 0, (seconds, told)
        assert not list((project.folder / ".snakemake/locks").glob("*"))
    for study, target in targets.items():
        assert project.planned(target, overlay=f"{study}.yaml") == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a{b}", "{}", "x}y"])
def test_braces_in_the_projects_path_are_refused_in_one_message(tmp_path, name):
    run = Project.small(tmp_path / name).run(FIGURE, options=("-n",))
    assert run.returncode == 1
    told = run.stdout + run.stderr
    assert f"{os.sep}{name}: Snakemake takes braces in this path for wildcards" in told
    assert "Traceback" not in told


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own{b}.pt", "w{model}.pt"])
def test_braces_in_the_path_of_weights_are_refused_in_one_message(project, name):
    project.edit(
        "tiny.yaml", "models:\n",
        "models:\n  own: {source: local, architecture: small/resnet18, options: {width: 4}, "
        f"weights: '{name}', mean: [0, 0, 0], std: [1, 1, 1], size: 8}}\n",
    )  # fmt: skip
    project.edit("tiny.yaml", "{model: tiny, dataset: digits59}", "{model: own, dataset: digits59}")
    (project.folder / name).write_bytes(b"x")
    run = project.run(FIGURE, options=("-n",))
    told = run.stdout + run.stderr
    assert run.returncode == 1
    assert f"{name}: Snakemake takes braces in this path for wildcards; rename the file" in told
    assert "Traceback (most recent" not in told
