"""VTAB-1k: so many images whatever their class, held-out ones, WebDataset archives, and the 17 entries."""

import io
import json
import os
import re
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_data import encoded, fill, mistakes
from test_data import levels as pixels
from test_data import make as make_images
from test_data import read as dataset

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.data.dataset import data_set
from nctransfer.data.sources.arrays import read as arrays
from nctransfer.data.subset import draw_rows, subset_rows
from nctransfer.errors import ConfigError, DataError

ROOT = Path(__file__).resolve().parents[1]
TASKS = {
    "vtab-cifar100": "Cifar100",
    "vtab-caltech101": "Caltech101",
    "vtab-dtd": "DTD",
    "vtab-flowers102": "Flowers102",
    "vtab-pets": "Pets",
    "vtab-svhn": "SVHN",
    "vtab-sun397": "Sun397",
    "vtab-eurosat": "EuroSAT",
    "vtab-resisc45": "Resisc45",
    "vtab-retinopathy": "Retinopathy",
    "vtab-clevr-count": "Clevr-Count",
    "vtab-clevr-dist": "Clevr-Dist",
    "vtab-dmlab": "DMLab",
    "vtab-dspr-loc": "dSpr-Loc",
    "vtab-dspr-ori": "dSpr-Ori",
    "vtab-snorb-azim": "sNORB-Azim",
    "vtab-snorb-ele": "sNORB-Ele",
}

# --- drawing rows -----------------------------------------------------------------------

LABELS = np.random.default_rng(0).integers(0, 7, 300)
EVERY = list(range(7))


def by_hand(labels: np.ndarray, chosen: list[int], count: int | None, validation: int, seed: int) -> Any:
    numbers = np.random.default_rng([seed, 2**32]).random(len(labels)).tolist()
    order = sorted((row for row, label in enumerate(labels) if label in chosen), key=lambda row: numbers[row])
    drawn = order[: len(order) if count is None else count]
    cut = len(drawn) - validation
    return sorted(drawn[:cut]), sorted(drawn[cut:])


@pytest.mark.parametrize("chosen", [EVERY, [5, 2], [3]])
@pytest.mark.parametrize(("count", "validation"), [(20, 0), (20, 5), (20, 19), (None, 5), (None, 0)])
@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_rows_are_drawn_as_by_hand(chosen: list[int], count: int | None, validation: int, seed: int) -> None:
    train, held_out = draw_rows(LABELS, chosen, count, validation, seed)
    assert (train.tolist(), held_out.tolist()) == by_hand(LABELS, chosen, count, validation, seed)
    assert set(LABELS[train]) | set(LABELS[held_out]) <= set(chosen)
    assert not set(train) & set(held_out)
    assert len(held_out) == validation
    assert len(train) + validation == (np.isin(LABELS, chosen).sum() if count is None else count)


def test_so_many_a_class_of_what_is_not_held_out() -> None:
    train, held_out = draw_rows(LABELS, EVERY, None, 60, 0)
    rows = subset_rows(LABELS, list("abcdefg"), EVERY, 10, 0, among=train)
    assert np.bincount(LABELS[rows]).tolist() == [10] * 7
    assert not set(rows) & set(held_out)
    with pytest.raises(DataError, match="'a' has"):
        subset_rows(LABELS, list("abcdefg"), EVERY, 10, 0, among=np.flatnonzero(LABELS > 0))


@pytest.mark.parametrize(
    ("chosen", "count", "validation", "words"),
    [
        (EVERY, 301, 0, "count: 301 images requested; the training split has 300"),
        ([2], 100, 0, "count: 100 images requested"),
        ([], 1, 0, "has 0 of these classes"),
        (EVERY, None, 300, "validation: 300 of 300 images"),
        (EVERY, 10, 10, "validation: 10 of 10 images"),
    ],
)
def test_too_few_images(chosen: list[int], count: int | None, validation: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        draw_rows(LABELS, chosen, count, validation, 0)


# --- stores -----------------------------------------------------------------------------


make = partial(make_images, geometry=None)


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """200 training images whose pixels say which they are, of 50 classes, two of them rare."""
    labels = np.concatenate([np.arange(198) % 48, [48, 49]])
    images = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None, None], (200, 2, 2, 3))
    np.savez(tmp_path / "train.npz", images=images, labels=labels)
    return tmp_path / "train.npz"


def test_a_count_may_leave_classes_without_images(tmp_path: Path, numbered: Path) -> None:
    options = {"train": str(numbered), "test": str(numbered)}
    stores = make(tmp_path, "arrays", options, count=30, seed=1)
    assert pixels(stores["train"]) == by_hand(np.zeros(200), [0], 30, 0, 1)[0]
    assert len(stores["train"].class_names) == len(stores["train"].manifest["counts"]) == 50
    assert 0 in stores["train"].manifest["counts"]
    assert sum(stores["train"].manifest["counts"]) == 30
    assert len(stores["test"]) == 200  # the test split stays whole
    assert stores["train"].manifest["subset"]["count"] == 30


def test_held_out_images_are_tested_on_and_the_test_split_is_not_opened(
    tmp_path: Path, numbered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    really = arrays.open_split

    def noting(options, split, root):
        opened.append(split)
        return really(options, split, root)

    monkeypatch.setattr(arrays, "open_split", noting)
    options = {"train": str(numbered), "test": str(numbered)}
    stores = make(tmp_path / "a", "arrays", options, count=100, validation=20, seed=1)
    train, held_out = by_hand(np.zeros(200), [0], 100, 20, 1)
    assert (pixels(stores["train"]), pixels(stores["test"])) == (train, held_out)
    assert stores["test"].labels.tolist() == [row % 48 if row < 198 else row - 150 for row in held_out]
    assert stores["test"].manifest["split"] == "test"
    whole = make(tmp_path / "b", "arrays", options, validation=20, seed=1)
    assert (len(whole["train"]), len(whole["test"])) == (180, 20)
    some = make(tmp_path / "c", "arrays", options, classes=[7, 3], validation=2, seed=1)
    assert (len(some["train"]), len(some["test"])) == (7, 2)  # four images of class 7, five of class 3
    assert {pixel % 48 for store in some.values() for pixel in pixels(store)} == {7, 3}
    few = make(tmp_path / "d", "arrays", options, classes=list(range(48)), per_class=1, validation=20, seed=1)
    assert few["train"].manifest["counts"] == [1] * 48
    assert not set(pixels(few["train"])) & set(pixels(few["test"]))
    assert set(opened) == {"train"}
    with pytest.raises(DataError, match="count: 201 images requested"):
        make(tmp_path / "e", "arrays", options, count=201, validation=20)


def test_bad_files_of_a_split_that_serves_for_both_are_named_once(tmp_path: Path) -> None:
    fill(tmp_path / "set" / "train", {"a": [*range(5)], "b": [*range(5)]})
    fill(tmp_path / "set" / "test", {"a": [], "b": []})
    (tmp_path / "set" / "train" / "a" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"^1 files cannot be used"):
        make(tmp_path, "imagefolder", {"path": str(tmp_path / "set")}, validation=4)


# --- the plan ---------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"count": "many"}, {"classes": 5}])
def test_all_mistakes_of_an_entry_are_named(more) -> None:
    entry = {"source": "digits", "count": 5, "per_class": 0, "validation": 7, "test_per_class": 1, **more}
    with pytest.raises(ConfigError) as refused:
        load(Path(os.devnull), [], [f"datasets={json.dumps({'d': entry})}"])
    keys = set(re.findall(r"datasets\.d\.(\w+): ", str(refused.value)))
    of_count = (
        {"count"} if "count" in more else {"validation"}
    )  # what a wrong value may do elsewhere is not told
    assert keys == {"per_class", "test_per_class"} | of_count | set(more)
    assert mistakes({"source": "digits", "count": 100, "validation": 20}) == []


def test_counts_are_in_the_key() -> None:
    def key(name: str, **entry: int | None) -> str:
        return dataset({"source": "digits"} | entry).key(name)

    assert key("vtab-dtd", count=1000, validation=200, per_class=None) == "vtab-dtd.1000n.val200"
    assert key("vtab-dtd", count=1000) == "vtab-dtd.1000n"
    assert key("x", per_class=3, test_per_class=2, validation=9) == "x.3pc.test2pc.val9"


@pytest.fixture(scope="module")
def paper() -> Plan:
    return Plan(load(ROOT / "config.yaml"), ROOT)


def test_the_17_tasks_are_valid_titled_and_have_stores_of_their_own(paper: Plan) -> None:
    datasets = paper.configuration.datasets
    entries = {key: entry for key, entry in datasets.items() if key.startswith("vtab-")}
    assert list(entries) == list(TASKS)  # in the order of Table 5
    stores = set()
    for key, title in TASKS.items():
        assert list(data_set(entries[key]).problems()) == []
        assert entries[key].count == 1000
        assert paper.configuration.style.title(key) == title
        view = paper.view("resnet34", key)
        assert view.key == f"{key}.1000n-224px"
        job = paper.images(view.images)
        assert (job.settings.count, job.settings.validation) == (1000, None)
        stores.add((view.images, job.stamp.digest))
    assert len({images for images, _ in stores}) == len({digest for _, digest in stores}) == 17
    binned = {key: entry.label_bins for key, entry in entries.items() if getattr(entry, "label_bins", None)}
    assert binned == {"vtab-dspr-loc": 16, "vtab-dspr-ori": 16}


def test_selection_sees_the_very_images_of_the_final_run(tmp_path: Path, paper: Plan) -> None:
    text = """
study: x
datasets:
  vtab-dtd: {validation: 200}
  dtd-again: {source: torchvision, name: DTD, count: 1000}
"""
    (tmp_path / "overlay.yaml").write_text(text)
    chosen = Plan(load(ROOT / "config.yaml", [tmp_path / "overlay.yaml"]), ROOT)
    view = chosen.view("resnet34", "vtab-dtd")
    assert view.images == "vtab-dtd.1000n.val200-224px"
    selection, final = chosen.images(view.images), paper.images("vtab-dtd.1000n-224px")
    assert selection.settings.seed == final.settings.seed
    assert selection.settings.options == final.settings.options
    assert selection.settings.validation == 200
    assert chosen.images("dtd-again.1000n-224px").settings.seed == final.settings.seed
    assert paper.images("cifar10").settings.seed != final.settings.seed  # each its own, as before
    assert paper.images("cifar10").settings.count is None


def test_small_images_of_the_hub_are_stored_once_for_all_sizes(paper: Plan) -> None:
    assert paper.view("resnet34", "vtab-snorb-ele").images == "vtab-snorb-ele.1000n"
    assert paper.view("resnet34", "vtab-resisc45").images == "vtab-resisc45.1000n-224px"
    assert not dataset({"source": "huggingface", "path": "/data"}).has_fixed_size


# --- WebDataset archives ----------------------------------------------------------------


def archive(path: Path, rows: list[tuple[int, int]], suffix: str = "webp") -> None:
    """An archive as CLIP_benchmark writes it: ``s0000000.cls``, ``s0000000.webp``, ..."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = {"jpg": "JPEG"}.get(suffix, suffix.upper())
    with tarfile.open(path, "w") as tar:
        for index, (value, label) in enumerate(rows):
            for name, data in (("cls", str(label).encode()), (suffix, encoded(value, kind=kind))):
                member = tarfile.TarInfo(f"s{index:07d}.{name}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """As in the hub's clip-benchmark sets: folders of splits, with text files beside the archives."""
    pytest.importorskip("datasets", reason="the optional datasets library is not installed")
    root = tmp_path / "hub"
    archive(root / "train" / "0.tar", [(value, value % 12) for value in range(20)])
    archive(root / "train" / "1.tar", [(value, value % 12) for value in range(20, 36)])
    archive(root / "test" / "0.tar", [(100 + value, value) for value in (11, 2, 10, 0)])
    (root / "train" / "nshards.txt").write_text("2\n")
    (root / "test" / "nshards.txt").write_text("1\n")
    (root / "classnames.txt").write_text("a\nb\n")
    (root / "zeroshot_classification_templates.txt").write_text("{c}\n")
    return root


def test_archives_are_read_with_numeric_labels_in_numeric_order(tmp_path: Path, shards: Path) -> None:
    stores = make(tmp_path, "huggingface", {"path": str(shards)})
    assert stores["train"].class_names == tuple(str(number) for number in range(12))
    assert pixels(stores["train"]) == list(range(36))
    assert stores["train"].labels.tolist() == [value % 12 for value in range(36)]
    assert pixels(stores["test"]) == [111, 102, 110, 100]
    assert stores["test"].labels.tolist() == [11, 2, 10, 0]
    few = make(tmp_path / "few", "huggingface", {"path": str(shards)}, count=10, validation=4, seed=2)
    train, held_out = by_hand(np.zeros(36), [0], 10, 4, 2)
    assert (pixels(few["train"]), pixels(few["test"])) == (train, held_out)
    one = {"path": str(shards / "train" / "0.tar"), "test_fraction": 0.5}
    with_one = make(tmp_path / "one", "huggingface", one)
    assert sorted(pixels(with_one["train"]) + pixels(with_one["test"])) == list(range(20))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_other_pictures_in_archives(tmp_path: Path, shards: Path, suffix: str) -> None:
    for split in ("train", "test"):
        archive(tmp_path / "set" / split / "0.tar", [(50, 1), (90, 0)], suffix)
    stores = make(tmp_path, "huggingface", {"path": str(tmp_path / "set")})
    assert pixels(stores["train"]) == pytest.approx([50, 90], abs=2)
    assert stores["train"].labels.tolist() == [1, 0]


def test_encoded_pictures_in_columns_of_bytes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the optional datasets library is not installed")
    rows = {
        "__key__": ["a", "b"],
        "__url__": ["x", "x"],
        "webp": [encoded(7, kind="WEBP"), encoded(9, kind="WEBP")],
        "cls": [1, 0],
    }
    features = datasets.Features(
        {name: datasets.Value("string") for name in ("__key__", "__url__")}
        | {"webp": datasets.Value("binary"), "cls": datasets.Value("int64")}
    )
    table = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk(str(tmp_path / "saved"))
    stores = make(tmp_path, "huggingface", {"path": str(tmp_path / "saved")})
    assert pixels(stores["train"]) == [7, 9]
    assert stores["train"].labels.tolist() == [1, 0]


@pytest.mark.parametrize(("labels", "bins"), [(40, 16), (32, 16), (12, 5), (12, 12)])
def test_labels_are_grouped_as_vtab_groups_them(tmp_path: Path, shards: Path, labels: int, bins: int) -> None:
    archive(tmp_path / "set" / "train" / "0.tar", [(label, label) for label in range(labels)])
    archive(tmp_path / "set" / "test" / "0.tar", [(5, 5)])
    stores = make(tmp_path, "huggingface", {"path": str(tmp_path / "set"), "label_bins": bins})
    # task_adaptation/data/dsprites.py: floordiv(float32(label), num_original_classes / num_classes)
    grouped = np.floor_divide(np.arange(labels, dtype=np.float32), np.float32(labels / bins))
    assert stores["train"].labels.tolist() == grouped.astype(int).tolist()
    assert stores["train"].class_names == tuple(map(str, range(bins)))
    assert stores["test"].labels.tolist() == [int(grouped[5])]


def test_named_classes_are_grouped_too_and_what_cannot_be_is_refused(tmp_path: Path, shards: Path) -> None:
    import datasets

    with pytest.raises(DataError, match="label_bins 13 is more than its 12 labels"):
        make(tmp_path / "a", "huggingface", {"path": str(shards), "label_bins": 13})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(num_classes=4)})
    pictures = [{"bytes": encoded(value), "path": None} for value in range(3)]
    table = datasets.Dataset.from_dict({"image": pictures, "label": [0, 1, 2]}, features=features)
    table.to_parquet(tmp_path / "named.parquet")
    options = {"path": str(tmp_path / "named.parquet"), "test_fraction": 0.3, "label_bins": 2}
    stores = make(tmp_path / "b", "huggingface", options, validation=1)
    assert stores["train"].class_names == ("0", "1")
    table = datasets.Dataset.from_dict({"image": pictures, "label": ["x", "y", "z"]})
    table.cast_column("image", datasets.Image()).to_parquet(tmp_path / "text.parquet")
    with pytest.raises(DataError, match="needs labels that are integers"):
        make(tmp_path / "c", "huggingface", options | {"path": str(tmp_path / "text.parquet")})
