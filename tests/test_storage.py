"""Stores and tables: whole or not at all, verified when read, the same bytes every time."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest

from nctransfer.errors import StoreError
from nctransfer.stamp import MadeWith, Stamp
from nctransfer.storage.convert import convert, old_stores
from nctransfer.storage.files import atomic_path
from nctransfer.storage.stamps import read_stamp
from nctransfer.storage.stores import Store, create_store
from nctransfer.storage.tables import read_table, write_table

WITH = MadeWith({"torch": "2.15.0"}, "cpu", 2, "float32", "contents", ("features",))
MADE = Stamp("d1", "c1", "t1", {"in": "d0"}, ("p1", "p2"), (WITH,))


def make(folder, rows=10):
    manifest = folder / "store" / "manifest.json"
    with create_store(manifest, "things", MADE) as store:
        array = store.array("x", (rows, 3), np.float32)
        for start in range(0, rows, 4):
            array.append(np.arange(start * 3, min(start + 4, rows) * 3, dtype=np.float64).reshape(-1, 3))
        store.put("labels", np.arange(rows))
        store.file("note.txt").write_text("hello")
        store.meta = {"answer": 42}
    return manifest


def test_what_is_written_is_read(tmp_path):
    manifest = make(tmp_path)
    store = Store(manifest, "things")
    np.testing.assert_array_equal(store.array("x"), np.arange(30, dtype=np.float32).reshape(10, 3))
    assert store.array("x").dtype == np.float32
    assert store.manifest["answer"] == 42
    assert store.path("note.txt").read_text() == "hello"
    assert read_stamp(manifest) == store.stamp == MADE
    assert make(tmp_path / "again").read_bytes() == manifest.read_bytes()
    with pytest.raises(StoreError, match=r"no file 'arrays/y.npy'.*arrays/x.npy"):
        store.array("y")


@pytest.mark.parametrize("name", ["arrays/x.npy", "arrays/labels.npy", "note.txt"])
def test_a_changed_byte_is_found_and_named(tmp_path, name):
    manifest = make(tmp_path)
    path = manifest.parent / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=rf"{name}: its bytes differ.*delete .*manifest\.json"):
        Store(manifest, "things").verify()


def test_a_missing_or_truncated_file_is_found(tmp_path):
    manifest = make(tmp_path)
    (manifest.parent / "arrays/x.npy").unlink()
    with pytest.raises(StoreError, match=r"x\.npy: missing"):
        Store(manifest, "things").array("x")
    (manifest.parent / "arrays/labels.npy").write_bytes(b"")
    with pytest.raises(StoreError, match="bytes differ"):
        Store(manifest, "things").array("labels")


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        (np.ones((4, 1)), StoreError, "do not fit"),
        (np.ones((2, 2)), StoreError, "do not fit"),
        (np.ones((2, 1)), StoreError, "2 rows written of 3"),
        (None, ZeroDivisionError, None),
    ],
)
def test_nothing_appears_when_the_work_fails_or_rows_do_not_fit(tmp_path, rows, error, words):
    with (
        pytest.raises(error, match=words),
        create_store(tmp_path / "store" / "manifest.json", "things") as store,
    ):
        array = store.array("x", (3, 1), np.float32)
        if rows is None:
            raise ZeroDivisionError
        array.append(rows)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_job_are_cleared_and_an_old_store_replaced(tmp_path):
    manifest = make(tmp_path, rows=5)
    leftover = tmp_path / ".store.partial-1"
    leftover.mkdir()
    (leftover / "x.npy").write_bytes(b"half")
    make(tmp_path, rows=7)
    assert not leftover.exists()
    assert len(Store(manifest, "things").array("x")) == 7


@pytest.mark.parametrize(
    ("contents", "words"),
    [(None, "no such store"), ("{", "not a manifest"), (json.dumps({"kind": "other"}), "a store of 'other'")],
)
def test_a_store_that_is_none_is_named(tmp_path, contents, words):
    manifest = tmp_path / "manifest.json"
    if contents is not None:
        manifest.write_text(contents)
    with pytest.raises(StoreError, match=words):
        Store(manifest, "things")


OLD = {
    "images/a/train": (["images.npy", "labels.npy"], []),
    "features/m/v/test": (["features.parquet", "labels.npy"], []),
    "probes/m/v": (["weight.unit00.avg.npy"], ["accuracy.parquet"]),
    "models/m": (["weights.safetensors"], ["units.csv"]),
    "pretraining/m": (["weights.safetensors", "epoch00003.safetensors"], ["history.parquet"]),
    "finetuning/r": (["tuned.safetensors"], ["history.parquet", "accuracy.parquet"]),
}


@pytest.mark.parametrize("place", OLD)
@pytest.mark.parametrize("interrupted", ["never", "before the manifest", "after it"])
def test_a_store_of_the_older_layout_is_found_and_converted(tmp_path, monkeypatch, place, interrupted):
    moved, stay = OLD[place]
    manifest = tmp_path / place / "manifest.json"
    with create_store(manifest, "things", MADE) as writer:
        for name in (*moved, *stay):
            writer.file(name).write_bytes(name.encode())
    os.utime(manifest, ns=(1, 1))
    assert old_stores(tmp_path) == [manifest]
    if interrupted != "never":
        made = os.replace

        def replace(source, target):
            if target == manifest and interrupted == "before the manifest":
                raise ZeroDivisionError
            made(source, target)
            if target == manifest:
                raise ZeroDivisionError

        with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
            patch.setattr(os, "replace", replace)
            convert(manifest)
        Store(manifest, "things").verify()
        assert bool(old_stores(tmp_path)) == (interrupted == "before the manifest")
    convert(manifest)
    assert old_stores(tmp_path) == []
    store = Store(manifest, "things").verify()
    assert set(store.manifest["files"]) == {*stay, *(f"arrays/{name}" for name in moved)}
    assert {path.name for path in manifest.parent.iterdir()} == {"arrays", "manifest.json", *stay}
    assert (manifest.stat().st_mtime_ns, store.stamp) == (1, MADE)


def test_a_store_without_its_arrays_is_none_of_the_older_layout(tmp_path):
    manifest = tmp_path / "images/a/train/manifest.json"
    with create_store(manifest, "images") as writer:
        writer.put("images", np.zeros(3))
    shutil.rmtree(manifest.parent / "arrays")
    assert old_stores(tmp_path) == []
    convert(manifest)
    with pytest.raises(StoreError, match=r"arrays/images\.npy: missing"):
        Store(manifest, "images").verify()
    manifest.write_text("{")  # whoever reads it will say so
    assert old_stores(tmp_path) == []


def test_tables_are_written_whole_and_alike(tmp_path):
    table = pd.DataFrame({"unit": [1, 2], "name": ["a", "b"], "value": [0.1, np.nan]})
    write_table(tmp_path / "a.parquet", table, MADE)
    write_table(tmp_path / "b.parquet", table, MADE)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert read_stamp(tmp_path / "a.parquet") == MADE
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), table)


def test_a_table_that_is_none_is_named(tmp_path):
    with pytest.raises(StoreError, match="no such table"):
        read_table(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 cut")
    for read in (read_table, read_stamp):
        with pytest.raises(StoreError, match=r"b.parquet"):
            read(tmp_path / "b.parquet")


def test_a_file_replaces_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
    with atomic_path(path) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("new")
    assert path.read_text() == "new"
