"""torchvision's data sets: their splits, and downloads that are complete or not there.

Nothing leaves the machine: a server on the loopback address serves tiny archives laid out
as the real ones.
"""

import fcntl
import hashlib
import inspect
import io
import json
import pickle
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import loopback
import numpy as np
import pytest
import scipy.io
from PIL import Image
from project import ROOT
from torchvision import datasets

from nctransfer.config.load import load
from nctransfer.dag.plan import Plan
from nctransfer.data.decode import read_picture
from nctransfer.data.image_store import ImageStore
from nctransfer.data.images import prepare_images
from nctransfer.data.raw_split import RawSplit
from nctransfer.data.sources.torchvision import read as source
from nctransfer.data.sources.torchvision.settings import TorchvisionSettings
from nctransfer.errors import DataError


def open_split(options: dict[str, Any], split: str, root: Path) -> RawSplit:
    settings = TorchvisionSettings.read({"source": "torchvision", **options})
    return source.open_split(settings, split, root)


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def picture(path: Path, value: int) -> None:
    """A lossless picture of one grey level under any name (readers go by content)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (value,) * 3).save(path, "PNG")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def levels(split: RawSplit) -> list[int]:
    """The grey level of each picture, which tells them apart."""
    if split.images is not None:
        return split.images[:, 0, 0, 0].tolist()
    assert split.read is not None
    return [int(read_picture(split.read(row)).pixels[0, 0, 0]) for row in range(len(split))]


# --- tiny sets, laid out as torchvision expects them --------------------------------------


def cifar(root: Path, monkeypatch: pytest.MonkeyPatch, name: str = "CIFAR10") -> None:
    loader = getattr(datasets, name)
    folder = root / loader.base_folder
    folder.mkdir(parents=True)
    value, lists = 0, {}
    for part in ("train_list", "test_list"):
        lists[part] = []
        for file, _ in getattr(loader, part):
            key = "labels" if name == "CIFAR10" else "fine_labels"
            rows = np.stack([np.full(3072, value, np.uint8), np.full(3072, value + 1, np.uint8)])
            data = pickle.dumps({"data": rows, key: [value % 3, (value + 1) % 3]})
            (folder / file).write_bytes(data)
            lists[part].append([file, md5(data)])
            value += 2
        monkeypatch.setattr(loader, part, lists[part])
    meta = pickle.dumps({loader.meta["key"]: ["plane", "car", "bird"]})
    (folder / loader.meta["filename"]).write_bytes(meta)
    monkeypatch.setattr(loader, "meta", loader.meta | {"md5": md5(meta)})


def dtd(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = {"train": ["zigzag", "banded"], "val": ["zigzag", "banded"], "test": ["banded", "zigzag"]}
    pairs = [(part, name) for part, names in order.items() for name in names]
    for value, (part, name) in enumerate(pairs):
        picture(root / "dtd/dtd/images" / name / f"{name}_{value}.jpg", value)
        labels = root / f"dtd/dtd/labels/{part}1.txt"
        write(labels, (labels.read_text() if labels.exists() else "") + f"{name}/{name}_{value}.jpg\n")


def aircraft(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = root / "fgvc-aircraft-2013b/data"
    write(data / "variants.txt", "707-320\nDR-400 B\n")
    write(data / "images_variant_trainval.txt", "0001 DR-400 B\n0002 707-320\n")
    write(data / "images_variant_test.txt", "0003 DR-400 B\n")
    for value in (1, 2, 3):
        picture(data / f"images/{value:04d}.jpg", value)


def pets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "oxford-iiit-pet"
    write(folder / "annotations/trainval.txt", "great_pyrenees_1 2 2 1\nAbyssinian_1 1 1 1\n")
    write(folder / "annotations/test.txt", "Abyssinian_2 1 1 1\ngreat_pyrenees_2 2 2 1\n")
    for value, name in enumerate(["great_pyrenees_1", "Abyssinian_1", "Abyssinian_2", "great_pyrenees_2"]):
        picture(folder / f"images/{name}.jpg", value)


def flowers(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "flowers-102"
    for value in range(1, 7):
        picture(folder / f"jpg/image_{value:05d}.jpg", value)
    scipy.io.savemat(folder / "imagelabels.mat", {"labels": np.array([[1, 2, 1, 2, 1, 102]])})
    ids = {"trnid": [[1, 2]], "valid": [[4, 3]], "tstid": [[5, 6]]}
    scipy.io.savemat(folder / "setid.mat", {key: np.array(value) for key, value in ids.items()})
    files = dict(datasets.Flowers102._file_dict)
    for part in ("label", "setid"):
        files[part] = (files[part][0], md5((folder / files[part][0]).read_bytes()))
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", files)


def svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True, exist_ok=True)
    files = {}
    for split, values in {"train": [1, 2, 3], "test": [4, 5]}.items():
        url, file, _ = datasets.SVHN.split_list[split]
        images = np.stack([np.full((32, 32, 3), value, np.uint8) for value in values], axis=-1)
        labels = np.array([[10], [1], [9]][: len(values)], np.uint8)
        scipy.io.savemat(root / file, {"X": images, "y": labels})
        files[split] = [url, file, md5((root / file).read_bytes())]
    monkeypatch.setattr(datasets.SVHN, "split_list", files)


def stl10(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "stl10_binary"
    write(folder / "class_names.txt", "airplane\nbird\n")
    (folder / "train_X.bin").write_bytes(bytes([1] * 27648 + [2] * 27648))
    (folder / "train_y.bin").write_bytes(bytes([2, 1]))
    (folder / "test_X.bin").write_bytes(bytes([3] * 27648))
    (folder / "test_y.bin").write_bytes(bytes([1]))
    (folder / "unlabeled_X.bin").write_bytes(b"")
    for part in ("train_list", "test_list"):
        names = [file for file, _ in getattr(datasets.STL10, part)]
        monkeypatch.setattr(
            datasets.STL10, part, [[file, md5((folder / file).read_bytes())] for file in names]
        )


def food(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = root / "food-101"
    write(folder / "meta/train.json", json.dumps({"pie": ["pie/1", "pie/2"], "soup": ["soup/3"]}))
    write(folder / "meta/test.json", json.dumps({"pie": ["pie/4"], "soup": ["soup/5"]}))
    for value, name in enumerate(["pie/1", "pie/2", "soup/3", "pie/4", "soup/5"], start=1):
        picture(folder / f"images/{name}.jpg", value)


def imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, name in enumerate(
        ["train/n01/a.JPEG", "train/n02/b.JPEG", "val/n01/c.JPEG", "val/n02/d.JPEG"]
    ):
        picture(root / name, value)


OFFICIAL = [
    # name, layout, first class names, (pictures, labels) to train on, (pictures, labels) to test on
    ("CIFAR10", cifar, ("plane", "car", "bird"), (list(range(10)), [0, 1, 2] * 3 + [0]), ([10, 11], [1, 2])),
    (
        "CIFAR100",
        partial(cifar, name="CIFAR100"),
        ("plane", "car", "bird"),
        ([0, 1], [0, 1]),
        ([2, 3], [2, 0]),
    ),
    ("DTD", dtd, ("banded", "zigzag"), ([0, 1, 2, 3], [1, 0, 1, 0]), ([4, 5], [0, 1])),
    ("FGVCAircraft", aircraft, ("707-320", "DR-400 B"), ([1, 2], [1, 0]), ([3], [1])),
    ("OxfordIIITPet", pets, ("Abyssinian", "Great Pyrenees"), ([0, 1], [1, 0]), ([2, 3], [0, 1])),
    ("Flowers102", flowers, (), ([1, 2, 4, 3], [0, 1, 1, 0]), ([5, 6], [0, 101])),
    ("SVHN", svhn, ("0", "1", "2"), ([1, 2, 3], [0, 1, 9]), ([4, 5], [0, 1])),
    ("STL10", stl10, ("airplane", "bird"), ([1, 2], [1, 0]), ([3], [0])),
    ("Food101", food, ("pie", "soup"), ([1, 2, 3], [0, 0, 1]), ([4, 5], [0, 1])),
    ("ImageNet", imagenet, ("n01", "n02"), ([0, 1], [0, 1]), ([2, 3], [0, 1])),
]


@pytest.mark.parametrize(
    ("name", "layout", "names", "train", "test"), OFFICIAL, ids=[row[0] for row in OFFICIAL]
)
def test_official_splits(name, layout, names, train, test, tmp_path, monkeypatch):
    layout(tmp_path / "set", monkeypatch)
    for split, (values, labels) in {"train": train, "test": test}.items():
        opened = open_split({"name": name, "path": str(tmp_path / "set")}, split, tmp_path / "none")
        assert opened.class_names[: len(names)] == names
        assert (levels(opened), opened.labels.tolist()) == (values, labels)
    assert not (tmp_path / "none").exists()


def drawn_sun397(root: Path) -> None:
    write(root / "SUN397/ClassName.txt", "/a/abbey\n/b/bar/indoor\n")
    for folder, shift in (("a/abbey", 0), ("b/bar/indoor", 110)):
        for value in range(104):
            picture(root / f"SUN397/{folder}/sun_{value:03d}.jpg", value + shift)


def drawn_caltech101(root: Path) -> None:
    for name, count, shift in (("ant", 35, 0), ("BACKGROUND_Google", 3, 200), ("Faces", 40, 100)):
        for value in range(count):
            picture(root / f"caltech101/101_ObjectCategories/{name}/image_{value + 1:04d}.jpg", value + shift)


def drawn_eurosat(root: Path) -> None:
    for name, shift in (("Forest", 0), ("River", 100)):
        for value in range(50):
            picture(root / f"eurosat/2750/{name}/{name}_{value:02d}.jpg", value + shift)


@pytest.mark.parametrize(
    ("name", "layout", "names", "train", "test"),
    [
        ("SUN397", drawn_sun397, ("abbey", "bar/indoor"), [50, 50], [50, 50]),
        ("Caltech101", drawn_caltech101, ("Faces", "ant"), [30, 30], [10, 5]),
        ("EuroSAT", drawn_eurosat, ("Forest", "River"), [40, 40], [10, 10]),
    ],
)
def test_drawn_splits(name, layout, names, train, test, tmp_path):
    layout(tmp_path / "set")
    options = {"name": name, "path": str(tmp_path / "set")}
    first, second = (open_split(options, split, tmp_path) for split in ("train", "test"))
    assert first.class_names == second.class_names == names
    assert np.bincount(first.labels).tolist() == train
    assert np.bincount(second.labels).tolist() == test
    assert not set(levels(first)) & set(levels(second))
    assert levels(open_split(options, "test", tmp_path)) == levels(second)
    assert levels(open_split(options | {"split_seed": 1}, "test", tmp_path)) != levels(second)


@pytest.mark.parametrize(("name", "layout"), [("CIFAR10", cifar), ("DTD", dtd)])
def test_a_fraction_is_drawn_of_official_splits_joined(
    name: str, layout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout(tmp_path / "set", monkeypatch)
    options = {"name": name, "path": str(tmp_path / "set")}
    official = [open_split(options, split, tmp_path) for split in ("train", "test")]
    options |= {"test_fraction": 0.34}
    train, test = (open_split(options, split, tmp_path) for split in ("train", "test"))
    pictures = {
        level: label
        for opened in official
        for level, label in zip(levels(opened), opened.labels, strict=True)
    }
    drawn = [*zip(levels(train), train.labels, strict=True), *zip(levels(test), test.labels, strict=True)]
    assert dict(drawn) == pictures  # all of them, each with its label
    assert len(drawn) == len(pictures)  # in one split only
    counts = np.bincount(list(pictures.values()))
    assert np.bincount(test.labels).tolist() == [max(1, round(0.34 * count)) for count in counts]
    other = open_split(options | {"split_seed": 1}, "test", tmp_path)
    assert len(other.labels) == len(test.labels)


def test_unknown_name_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'Food101'"):
        open_split({"name": "Food-101"}, "train", tmp_path)
    with pytest.raises(DataError, match="cannot open DTD there"):
        open_split({"name": "DTD", "path": str(tmp_path)}, "train", tmp_path)
    with pytest.raises(DataError, match="cannot be downloaded"):
        open_split({"name": "ImageNet"}, "train", tmp_path)


@pytest.mark.parametrize(
    ("loader", "archive"), [("EuroSAT", source._EUROSAT), ("Caltech101", source._CALTECH101)]
)
def test_addresses_copied_from_torchvision_are_still_its_own(loader: str, archive: Any) -> None:
    text = inspect.getsource(getattr(datasets, loader).download)
    assert archive.url in text
    assert archive.md5 in text


# --- downloads ----------------------------------------------------------------------------


class Server(loopback.Server):
    """Serves ``files`` (path: bytes); cuts off those named in ``truncated`` half-way."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.truncated: set[str] = set()
        self.requests: list[str] = []
        self.behave = self.serve

    def serve(self, handler: Any, _: int) -> None:
        self.requests.append(handler.path)
        if handler.path not in self.files:
            return handler.send_error(404)
        self.data = self.files[handler.path]
        body = loopback.head(handler)
        return handler.wfile.write(body[: len(body) // 2] if handler.path in self.truncated else body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in loopback.PROXIES:
        monkeypatch.delenv(name, raising=False)
    running = Server()
    yield running
    running.stop()


def tar_gz(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    return buffer.getvalue()


@pytest.fixture
def served_dtd(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    dtd(tmp_path / "source", monkeypatch)
    archive = tar_gz(tmp_path / "source/dtd")
    server.files["/dtd-r1.0.1.tar.gz"] = archive
    monkeypatch.setattr(datasets.DTD, "_URL", f"{server.url}/dtd-r1.0.1.tar.gz")
    monkeypatch.setattr(datasets.DTD, "_MD5", md5(archive))
    return server


@pytest.fixture
def served_aircraft(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Aircraft, for whose archive torchvision knows no checksum."""
    aircraft(tmp_path / "source", monkeypatch)
    server.files["/aircraft.tar.gz"] = tar_gz(tmp_path / "source")
    monkeypatch.setattr(datasets.FGVCAircraft, "_URL", f"{server.url}/aircraft.tar.gz")
    return server


def failure(name: str, root: Path) -> str:
    with pytest.raises(DataError) as error:
        open_split({"name": name}, "train", root)
    assert not (root / name).exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "key", "train", "test"),
    [("CIFAR10", "cifar10", (1_000, 10), (1_000, 10)), ("CIFAR100", "cifar100", (8_000, 50), (2_500, 50))],
)
def test_the_small_study_begins_with_what_torchvision_fetches(
    name, key, train, test, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """config/small.yaml as a user with a network runs it: archive, checksum, subset, image store."""
    loader, classes = getattr(datasets, name), 10 if name == "CIFAR10" else 100
    folder = tmp_path / "source" / loader.base_folder
    folder.mkdir(parents=True)
    for part, split in (("train_list", train), ("test_list", test)):
        files = getattr(loader, part)
        labels = list(range(classes)) * (split[0] // split[1] // len(files))
        key_of_labels = "labels" if name == "CIFAR10" else "fine_labels"
        data = pickle.dumps({"data": np.zeros((len(labels), 3072), np.uint8), key_of_labels: labels})
        for file, _ in files:
            (folder / file).write_bytes(data)
        monkeypatch.setattr(loader, part, [[file, md5(data)] for file, _ in files])
    meta = pickle.dumps({loader.meta["key"]: [f"class {index}" for index in range(classes)]})
    (folder / loader.meta["filename"]).write_bytes(meta)
    monkeypatch.setattr(loader, "meta", loader.meta | {"md5": md5(meta)})
    archive = tar_gz(tmp_path / "source")
    server.files[f"/{loader.filename}"] = archive
    monkeypatch.setattr(loader, "url", f"{server.url}/{loader.filename}")
    monkeypatch.setattr(loader, "tgz_md5", md5(archive))

    plan = Plan(load(ROOT / "config.yaml", [ROOT / "config/small.yaml"]), ROOT)
    (images,) = (each for each, view in plan.image_stores.items() if view.dataset == key)
    job = plan.images(images)
    manifests = {split: tmp_path / split / "manifest.json" for split in ("train", "test")}
    prepare_images(manifests, job.settings, job.stamp, tmp_path / "downloads")
    for split, (count, of_classes) in (("train", train), ("test", test)):
        store = ImageStore(manifests[split])
        assert (len(store), len(store.class_names)) == (count, of_classes)
        assert set(np.bincount(store.labels)) == {count // of_classes}
    assert set(server.requests) == {f"/{loader.filename}"}


def test_download_once_for_both_splits(served_dtd: Server, tmp_path: Path) -> None:
    root = tmp_path / "downloads"
    train = open_split({"name": "DTD"}, "train", root)
    asked = len(served_dtd.requests)
    assert asked >= 1
    assert levels(train) == [0, 1, 2, 3]
    assert levels(open_split({"name": "DTD"}, "test", root)) == [4, 5]
    assert len(served_dtd.requests) == asked
    assert train.provenance["archives"] == [{"name": "dtd-r1.0.1.tar.gz", "md5": datasets.DTD._MD5}]
    assert not list(root.rglob("*.tar.gz"))
    assert not (root / ".DTD.partial").exists()


def test_several_files_of_which_some_are_data(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flowers(tmp_path / "source", monkeypatch)
    folder = tmp_path / "source/flowers-102"
    files = dict(datasets.Flowers102._file_dict)
    for part in ("label", "setid"):
        server.files[f"/{files[part][0]}"] = (folder / files[part][0]).read_bytes()
        (folder / files[part][0]).unlink()
    server.files["/102flowers.tgz"] = tar_gz(folder)
    files["image"] = ("102flowers.tgz", md5(server.files["/102flowers.tgz"]))
    monkeypatch.setattr(datasets.Flowers102, "_file_dict", files)
    monkeypatch.setattr(datasets.Flowers102, "_download_url_prefix", f"{server.url}/")
    assert levels(open_split({"name": "Flowers102"}, "train", tmp_path / "downloads")) == [1, 2, 4, 3]
    assert levels(open_split({"name": "Flowers102"}, "test", tmp_path / "downloads")) == [5, 6]


def test_files_that_are_not_archives(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    svhn(tmp_path / "source", monkeypatch)
    files = {}
    for split, (_, file, digest) in datasets.SVHN.split_list.items():
        server.files[f"/{file}"] = (tmp_path / "source" / file).read_bytes()
        files[split] = [f"{server.url}/{file}", file, digest]
    monkeypatch.setattr(datasets.SVHN, "split_list", files)
    assert levels(open_split({"name": "SVHN"}, "test", tmp_path / "downloads")) == [4, 5]
    server.stop()
    assert levels(open_split({"name": "SVHN"}, "train", tmp_path / "downloads")) == [1, 2, 3]


def test_server_down_or_without_the_file(served_dtd: Server, tmp_path: Path) -> None:
    files, served_dtd.files = served_dtd.files, {}
    assert "404" in failure("DTD", tmp_path / "downloads")
    served_dtd.files = files
    served_dtd.stop()
    message = failure("DTD", tmp_path / "downloads")
    assert "dtd-r1.0.1.tar.gz could not be downloaded" in message
    assert "Connection refused" in message
    assert "127.0.0.1 can be reached" in message
    assert f"into {tmp_path / 'downloads'} by hand" in message


def test_wrong_checksum(served_dtd: Server, tmp_path: Path) -> None:
    served_dtd.files["/dtd-r1.0.1.tar.gz"] = b"something else"
    message = failure("DTD", tmp_path / "downloads")
    assert "dtd-r1.0.1.tar.gz is truncated or not the right file (14 bytes, MD5" in message
    assert datasets.DTD._MD5 in message
    assert not list((tmp_path / "downloads").rglob("*.tar.gz"))


@pytest.mark.parametrize("name", ["DTD", "FGVCAircraft"])
def test_truncated_then_whole(name: str, served_dtd: Server, served_aircraft: Server, tmp_path: Path) -> None:
    server = served_dtd  # the same as served_aircraft
    server.truncated = set(server.files)
    message = failure(name, tmp_path / "downloads")
    assert ".tar.gz could not be downloaded (127.0.0.1 broke off after" in message
    server.truncated = set()
    assert len(open_split({"name": name}, "train", tmp_path / "downloads")) in (2, 4)


def test_damage_that_unpacking_does_not_notice(served_aircraft: Server, tmp_path: Path) -> None:
    data = bytearray(served_aircraft.files["/aircraft.tar.gz"])
    data[-8] ^= 1  # gzip's checksum of the contents
    served_aircraft.files["/aircraft.tar.gz"] = bytes(data)
    assert "CRC check failed" in failure("FGVCAircraft", tmp_path / "downloads")


def test_what_a_killed_download_left_is_not_taken_as_complete(served_dtd: Server, tmp_path: Path) -> None:
    partial_folder = tmp_path / "downloads" / ".DTD.partial"
    dtd(partial_folder, pytest.MonkeyPatch())
    (partial_folder / "dtd/dtd/images/zigzag/zigzag_0.jpg").unlink()  # half unpacked
    (partial_folder / "dtd/dtd-r1.0.1.tar.gz").write_bytes(b"half")
    assert levels(open_split({"name": "DTD"}, "train", tmp_path / "downloads")) == [0, 1, 2, 3]
    assert served_dtd.requests


def test_right_archive_of_a_killed_download_is_used(served_dtd: Server, tmp_path: Path) -> None:
    archive = tmp_path / "downloads/.DTD.partial/dtd/dtd-r1.0.1.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(served_dtd.files["/dtd-r1.0.1.tar.gz"])
    write(archive.parent / "dtd/labels/train1.txt", "zigzag/none.jpg\n")
    assert levels(open_split({"name": "DTD"}, "train", tmp_path / "downloads")) == [0, 1, 2, 3]
    assert not served_dtd.requests


def test_unverifiable_archive_of_a_killed_download_is_fetched_again(
    served_aircraft: Server, tmp_path: Path
) -> None:
    archive = tmp_path / "downloads/.FGVCAircraft.partial/aircraft.tar.gz"
    archive.parent.mkdir(parents=True)
    archive.write_bytes(served_aircraft.files["/aircraft.tar.gz"][:100])
    assert levels(open_split({"name": "FGVCAircraft"}, "train", tmp_path / "downloads")) == [1, 2]


def test_archive_put_there_by_hand_needs_no_network(served_dtd: Server, tmp_path: Path) -> None:
    served_dtd.stop()
    archive = tmp_path / "downloads" / "dtd-r1.0.1.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(b"wrong")
    assert "could not be downloaded" in failure("DTD", tmp_path / "downloads")
    archive.write_bytes(served_dtd.files["/dtd-r1.0.1.tar.gz"])
    assert len(open_split({"name": "DTD"}, "train", tmp_path / "downloads")) == 4
    assert archive.is_file()  # not ours to delete


def test_folder_that_is_not_ours_is_neither_trusted_nor_deleted(served_dtd: Server, tmp_path: Path) -> None:
    dtd(tmp_path / "downloads" / "DTD", pytest.MonkeyPatch())
    with pytest.raises(DataError, match="not a complete download of this program"):
        open_split({"name": "DTD"}, "train", tmp_path / "downloads")
    assert (tmp_path / "downloads/DTD/dtd/dtd/labels/train1.txt").is_file()
    assert not served_dtd.requests


def test_second_job_waits_for_the_first_and_uses_its_download(
    served_dtd: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "downloads"
    open_split({"name": "DTD"}, "train", root)
    (root / "DTD").rename(root / "elsewhere")
    served_dtd.stop()
    found: list[int] = []
    with caplog.at_level("INFO"), (root / ".DTD.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = threading.Thread(
            target=lambda: found.extend(levels(open_split({"name": "DTD"}, "train", root)))
        )
        job.start()
        for _ in range(3000):
            if "waiting for another job" in caplog.text:
                break
            time.sleep(0.01)
        assert "waiting for another job" in caplog.text
        (root / "elsewhere").rename(root / "DTD")
    job.join(30)
    assert found == [0, 1, 2, 3]


def test_downloads_folder_that_cannot_be_made(served_dtd: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"set paths\.downloads"):
        open_split({"name": "DTD"}, "train", tmp_path / "file" / "downloads")
