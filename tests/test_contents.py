"""What the user's files contain decides about reruns: not their names' order, sizes or times."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from project import swap

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.data import contents
from nctransfer.data.contents import RECORDS, UNREADABLE, Contents


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures of equal sizes in two classes, some behind links."""
    root = tmp_path / "set"
    for name, value in (("a/1.bmp", b"one"), ("a/2.bmp", b"two"), ("b/1.bmp", b"six"), ("b/2.bmp", b"ten")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(value)
    for name in ("x", "y"):
        (tmp_path / "elsewhere" / name).mkdir(parents=True)
        (tmp_path / "elsewhere" / name / "3.bmp").write_bytes(name.encode())
    (root / "b/linked").symlink_to(tmp_path / "elsewhere/x")
    (root / "b/4.bmp").symlink_to(tmp_path / "elsewhere/x/3.bmp")
    return root


def rewrite(path: Path, value: bytes) -> None:
    """Other contents of the same size, with the old time."""
    times = path.stat()
    path.write_bytes(value)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def older_by_copy(path: Path) -> None:
    """``cp -p`` of an older file of the same size."""
    old = path.with_name(".old")
    old.write_bytes(b"old")
    os.utime(old, (1, 1))
    shutil.copy2(old, path)


def retarget(link: Path, target: Path) -> None:
    link.unlink()
    link.symlink_to(target)


def copied(path: Path) -> None:
    """Another inode with the same contents and times."""
    shutil.copy2(path, path.with_name(".copy"))
    path.with_name(".copy").replace(path)


CHANGES = {
    "files of two classes swapped": lambda f: swap(f / "a/1.bmp", f / "b/1.bmp"),
    "files of one class swapped": lambda f: swap(f / "a/1.bmp", f / "a/2.bmp"),
    "folders of two classes swapped": lambda f: swap(f / "a", f / "b"),
    "other contents of the same size": lambda f: (f / "a/1.bmp").write_bytes(b"uno"),
    "the same with its old time": lambda f: rewrite(f / "a/1.bmp", b"uno"),
    "an older file copied over it": lambda f: older_by_copy(f / "a/1.bmp"),
    "an older file moved over it": lambda f: ((f / ".x").write_bytes(b"x-y"), os.utime(f / ".x", (1, 1)), (f / ".x").replace(f / "a/1.bmp")),
    "a link to another folder": lambda f: retarget(f / "b/linked", f.parent / "elsewhere/y"),
    "a link to another file": lambda f: retarget(f / "b/4.bmp", f.parent / "elsewhere/y/3.bmp"),
    "a file behind a link": lambda f: (f.parent / "elsewhere/x/3.bmp").write_bytes(b"z"),
    "a file more": lambda f: (f / "a/9.bmp").write_bytes(b"one"),
    "a file less": lambda f: (f / "a/1.bmp").unlink(),
    "a file renamed": lambda f: (f / "a/1.bmp").rename(f / "a/7.bmp"),
    "a class renamed": lambda f: (f / "a").rename(f / "c"),
    "an empty file": lambda f: (f / "a/1.bmp").write_bytes(b""),
}  # fmt: skip
NO_CHANGES = {
    "nothing": lambda f: None,
    "touched": lambda f: [path.touch() for path in f.rglob("*.bmp")],
    "an older time": lambda f: os.utime(f / "a/1.bmp", (1, 1)),
    "copied onto itself": lambda f: copied(f / "a/1.bmp"),
    "written again": lambda f: (f / "a/1.bmp").write_bytes(b"one"),
    "other rights": lambda f: (f / "a/1.bmp").chmod(0o600),
    "a hidden file": lambda f: (f / "a/.DS_Store").write_bytes(b"x"),
    "an empty folder": lambda f: (f / "c").mkdir(),
    "a link for a file": lambda f: ((f / "a/1.bmp").rename(f.parent / "moved.bmp"), (f / "a/1.bmp").symlink_to(f.parent / "moved.bmp")),
}  # fmt: skip


@pytest.mark.parametrize("records", [True, False], ids=["records", "no records"])
@pytest.mark.parametrize("case", [*CHANGES, *NO_CHANGES])
def test_a_folder_is_what_its_files_contain(folder, case, records):
    before = Contents().digest(folder)
    (CHANGES | NO_CHANGES)[case](folder)
    if not records:
        RECORDS.unlink()
    assert (Contents().digest(folder) != before) == (case in CHANGES)


def test_a_moved_folder_is_the_same(folder):
    before = Contents().digest(folder)
    folder.rename(folder.with_name("moved"))
    assert Contents().digest(folder.with_name("moved")) == before


def test_only_what_has_changed_is_read_again(folder, monkeypatch):
    read = []
    monkeypatch.setattr(contents, "_hash", lambda path: read.append(Path(path).name) or "digest")
    Contents().digest(folder)
    assert sorted(read) == ["1.bmp", "1.bmp", "2.bmp", "2.bmp", "3.bmp", "4.bmp"]
    read.clear()
    Contents().digest(folder)
    assert read == []
    (folder / "a/2.bmp").touch()
    Contents().digest(folder)
    assert read == ["2.bmp"]


def test_records_are_read_once_whatever_a_plan_asks_for(folder, monkeypatch):
    read = []
    monkeypatch.setattr(contents, "_recorded", lambda: read.append(1) or {})
    known = Contents()
    for path in (folder, folder / "a", folder / "a/1.bmp", folder):
        known.digest(path)
    assert len(read) == 1


def test_the_jobs_of_a_run_read_no_file_again(folder, tmp_path, monkeypatch):
    run, record = Contents(), tmp_path / "s.digests"
    told = {path: run.digest(path) for path in (folder, folder / "a/1.bmp")}
    run.save(record)
    monkeypatch.setattr(contents, "_files", None)
    monkeypatch.setattr(contents, "_hash", None)
    job = Contents()
    job.recall(record)
    assert {path: job.digest(path) for path in told} == told


@pytest.mark.parametrize("damage", [None, b"", b"{", b"\xac\xed", b"[1]"])
def test_a_job_without_legible_digests_reads_the_files(folder, tmp_path, damage):
    record = tmp_path / "s.digests"
    if damage is not None:
        record.write_bytes(damage)
    job = Contents()
    job.recall(record)
    assert job.digest(folder) == Contents().digest(folder)


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (lambda root: (root / "a/1.bmp").touch(), False),
        (lambda root: rewrite(root / "a/1.bmp", b"new"), False),
        (
            lambda root: swap(root / "a/1.bmp", root / "b/1.bmp"),
            False,
        ),  # which is why contents are the default
        (lambda root: (root / "a/1.bmp").write_bytes(b"longer"), True),
        (lambda root: (root / "a/1.bmp").rename(root / "a/9.bmp"), True),
        (lambda root: (root / "a/1.bmp").unlink(), True),
        (lambda root: (root / "b/4.bmp").unlink(), True),
    ],
)
def test_by_size_only_names_and_sizes_count_and_nothing_is_opened(folder, monkeypatch, change, noticed):
    before = Contents("size").digest(folder)
    assert before != Contents().digest(folder)
    monkeypatch.setattr(contents, "_hash", None)
    change(folder)
    assert (Contents("size").digest(folder) != before) == noticed


def test_nothing_is_opened_but_regular_files(folder):
    os.mkfifo(folder / "a/pipe.bmp")
    (folder / "a/loop.bmp").symlink_to("loop.bmp")
    (folder / "a/above").symlink_to(folder)
    (folder / "a/gone.bmp").symlink_to("nowhere")
    (folder / os.fsdecode(b"a/\xff.bmp")).write_bytes(b"name")
    first = Contents().digest(folder)
    assert first == Contents().digest(folder)
    assert Contents().digest(folder / "a/pipe.bmp") == UNREADABLE
    assert Contents().digest(folder / "missing") == UNREADABLE


@pytest.mark.parametrize("damage", [b"", b"garbage" * 1000, None])
def test_records_that_are_damaged_or_cannot_be_written_cost_only_time(folder, damage, caplog):
    if damage is None:
        RECORDS.parent.parent.mkdir()
        RECORDS.parent.write_text("a file in the way")
    before = Contents().digest(folder)
    if damage is not None:
        RECORDS.write_bytes(damage)
    assert Contents().digest(folder) == before
    assert Contents().digest(folder) == before
    assert ("not writable" in caplog.text) == (damage is None)


STUDY = """
study: own
datasets:
  folder: {source: imagefolder, path: set, test_fraction: 0.5}
  arrays: {source: arrays, path: arrays.npz, test_fraction: 0.5}
models:
  own: {source: local, architecture: small/resnet18, weights: own.pt, mean: [0, 0, 0], std: [1, 1, 1], size: 8}
figures:
  f: {kind: transfer, panels: [{dataset: folder, series: [{models: {a: own}}]}, {dataset: arrays, series: [{models: {a: own}}]}]}
"""


def stamps(root: Path) -> dict[str, str]:
    """Digests of the jobs that read the user's files, and of one further down."""
    plan = Plan(load(Path("own.yaml")), root)
    views = {dataset: plan.view("own", dataset) for dataset in ("folder", "arrays")}
    jobs = {dataset: plan.images(view.images) for dataset, view in views.items()}
    jobs |= {"model": plan.model("own"), "figure": plan.figure("f")}
    return {name: job.stamp.digest for name, job in jobs.items()}


FILES = {
    "a picture": ("set/a/1.bmp", b"uno", {"folder", "figure"}),
    "an array": ("arrays.npz", None, {"arrays", "figure"}),
    "weights": ("own.pt", b"other", {"model", "figure"}),
}


@pytest.mark.parametrize("case", FILES)
def test_jobs_depend_on_contents_and_not_on_times(folder, case, request):
    root = Path(request.config.rootpath)
    np.savez("arrays.npz", images=np.zeros((4, 8, 8, 3), np.uint8), labels=[0, 0, 1, 1])
    Path("own.pt").write_bytes(b"mine!")
    Path("own.yaml").write_text(STUDY)
    before = stamps(root)
    name, value, stale = FILES[case]
    Path(name).touch()
    assert stamps(root) == before
    changed = Path(name).read_bytes()[:-1] + b"?" if value is None else value
    rewrite(Path(name), changed)
    after = stamps(root)
    assert {key for key in before if before[key] != after[key]} == stale
