"""Image stores without pixels: what is decoded on the fly is what the store would have held."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from test_data import make
from test_features import backbone, extract, files_of, join, parts_of  # noqa: F401
from test_plan import ROOT, overlay, plan

from nctransfer.data.images import ImageStore
from nctransfer.data.settings import Geometry
from nctransfer.data.streamed_images import open_images
from nctransfer.errors import ConfigError, DataError

LARGE = Geometry(resize=(190, 190))
COUNTS = {"train": 75, "test": 9}  # blocks of 32: two whole ones and one of 11


@pytest.fixture(autouse=True)
def _two_workers():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path) -> Path:
    return pictures(tmp_path / "set")


def pictures(root: Path) -> Path:
    """Images of many sizes and kinds; some are grey levels of 16 bits, one name is not ASCII."""
    rng = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for number in range(count):
            path = root / split / "abc"[number % 3] / f"bild-{number:03d}-ä.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            height, width = rng.integers(9, 40, 2)
            if number % 10 == 7:
                deep = rng.integers(0, 4096, (height, width), np.uint16)
                Image.fromarray(deep).save(path.with_suffix(".png"))
            else:
                Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(path, "JPEG")
    (root / "train/a/broken.jpg").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def unspoilt(tmp_path_factory) -> tuple[dict[str, ImageStore], dict[str, ImageStore]]:
    """Stored and streamed images that no test spoils."""
    place = tmp_path_factory.mktemp("unspoilt")
    return both(place, pictures(place / "set"))


def both(tmp_path: Path, folder: Path) -> tuple[dict[str, ImageStore], dict[str, ImageStore]]:
    """Stores of the same images with and without pixels, by split."""
    made = []
    for store in ("pixels", "stream"):
        place = tmp_path / store
        make(place, "imagefolder", {"path": str(folder), "store": store, "on_error": "skip"})
        made.append({split: open_images(place / "images" / split / "manifest.json") for split in COUNTS})
    return made[0], made[1]


@pytest.mark.parametrize("size", [1, 7, 32, 33, 75, 100])
def test_pixels_and_their_digest_are_those_of_the_store(unspoilt, size):
    stored, streamed = unspoilt
    for split in COUNTS:
        assert streamed[split].fingerprint == stored[split].fingerprint
        read = list(streamed[split].batches(size))
        assert np.array_equal(np.concatenate(read), stored[split].images)
        same = {"checksum", "counts", "resolution", "white_level", "class_names", "skipped"}
        assert all(streamed[split].manifest[key] == stored[split].manifest[key] for key in same)
        assert "arrays/images.npy" not in streamed[split].manifest["files"]
    assert not psutil.Process().children()  # no process waits for more to decode


def test_reading_elsewhere_than_on_gives_those_rows(unspoilt):
    """As after a batch that did not fit in memory, and at the border of a shard."""
    stored, streamed = unspoilt
    for start, stop in ((0, 40), (0, 20), (20, 30), (50, 200), (75, 80), (3, 4)):
        assert np.array_equal(streamed["train"].read(start, stop), stored["train"].read(start, stop))


@pytest.mark.parametrize("changes", [{}, {"format": "parquet"}])
def test_features_are_those_of_the_store_to_the_byte(tmp_path, unspoilt, backbone, changes):  # noqa: F811
    stored, streamed = (made["train"] for made in unspoilt)
    changes |= {"geometry": Geometry(resize=(8, 8)), "batch_size": 20}
    extract(backbone, stored, tmp_path / "a", **changes)
    extract(backbone, streamed, tmp_path / "b", **changes)
    join(parts_of(backbone, streamed, tmp_path / "parts", 3, **changes), tmp_path / "c", **changes)
    a, b, c = (files_of(tmp_path / name) for name in "abc")
    assert a == b == c
    assert "features/manifest.json" in a


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "changed since its data set was listed"),
        (lambda path: path.write_bytes(b""), "changed since its data set was listed"),
    ],
)
def test_a_file_that_changed_or_vanished_after_it_was_listed_is_named(tmp_path, folder, spoil, error):
    _, streamed = both(tmp_path, folder)
    path = folder / "train/b/bild-043-ä.jpg"
    spoil(path)
    assert len(streamed["test"].read(0, 9)) == 9
    with pytest.raises(DataError, match=f"{path}: {error}"):
        list(streamed["train"].batches(10))


READER = """
import sys, torch
from pathlib import Path
from nctransfer.data.streamed_images import open_images
torch.set_num_threads(2)
images = open_images(Path(sys.argv[1]))
images.read(0, 1)
print("reading", flush=True)
sys.stdin.read()
"""


def test_worker_processes_end_with_a_killed_job(tmp_path, folder):
    """Also when nobody takes the images that they wait to hand over: 74 of 100 kB, more than pipes hold."""
    make(
        tmp_path, "imagefolder", {"path": str(folder), "store": "stream", "on_error": "skip"}, geometry=LARGE
    )
    command = [sys.executable, "-c", READER, str(tmp_path / "images/train/manifest.json")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as job:
        assert job.stdout.readline() == b"reading\n"
        workers = psutil.Process(job.pid).children()
        assert len(workers) == 2
        job.kill()
        assert psutil.wait_procs(workers, timeout=20)[1] == []


STREAMED = """
datasets:
  leaves: {{source: imagefolder, path: {folder}, {options}}}
models:
  own: {{source: pretraining, architecture: small/resnet18, size: 32, dataset: leaves}}
finetuned:
  run: {{model: resnet34, dataset: leaves, method: layer_ft, units: [3]}}
"""


def test_trainings_refuse_a_stream_before_anything_runs_and_extraction_does_not(tmp_path, folder):
    text = STREAMED.format(folder=folder, options="store: stream")
    chosen = plan(overlay(tmp_path, text))
    view = chosen.view("resnet34", "leaves")
    streamed = chosen.features("resnet34", view.key)
    refusal = "datasets.leaves.store: 'stream' is for data of which only features are extracted.*allowed is 'pixels'"
    with pytest.raises(ConfigError, match=refusal):
        chosen.pretrain("own")
    with pytest.raises(ConfigError, match=refusal):
        chosen.features("run", view.key)
    # the path is the same, the digest is not
    other = plan(overlay(tmp_path, STREAMED.format(folder=folder, options="store: pixels")))
    stored = other.features("resnet34", view.key)
    assert stored.inputs == streamed.inputs
    assert stored.stamp.digest != streamed.stamp.digest
    assert stored.settings == streamed.settings


def test_shards_are_jobs_with_paths_of_their_own(tmp_path, folder):
    one, three = (
        plan(overlay(tmp_path, STREAMED.format(folder=folder, options=f"shards: {count}")))
        for count in (1, 3)
    )
    view = one.view("resnet34", "leaves").key
    unset = plan(overlay(tmp_path, STREAMED.format(folder=folder, options="split_seed: null")))
    assert one.features("resnet34", view) == unset.features("resnet34", view)
    joined = three.features("resnet34", view)
    assert (one.sharded_view_keys, joined.rule) == ([], "features_joined")
    assert view in three.sharded_view_keys
    parts = [path for name, path in joined.inputs.items() if name.startswith("test_")]
    assert parts == [
        f"results/x/features_shards/resnet34/{view}/{part}/test/manifest.json" for part in range(3)
    ]
    # who reads the features finds them where they always are
    assert three.metrics("resnet34", view).inputs == one.metrics("resnet34", view).inputs


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (
            "{source: torchvision, name: CIFAR10, store: stream}",
            "datasets.leaves.store: 'stream' is for image files",
        ),
        ("{source: torchvision, name: DTD, store: disk}", "datasets.leaves.store: 'disk'.*pixels.*stream"),
        ("{source: digits, store: stream}", "datasets.leaves.store"),
        ("{source: digits, shards: 0}", "datasets.leaves.shards: 0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_what_is_allowed(tmp_path, entry, error):
    with pytest.raises(ConfigError, match=error):
        chosen = plan(overlay(tmp_path, f"datasets: {{leaves: {entry}}}\n"))
        chosen.images(chosen.view("resnet34", "leaves").images)


def test_files_that_torchvision_lists_are_streamed(tmp_path, monkeypatch, folder):
    from nctransfer.data.sources.torchvision import read

    files = sorted(str(path) for path in (folder / "train").rglob("*.jpg"))
    opened = read._files(files, [number % 2 for number in range(len(files))], ("x", "y"))
    monkeypatch.setattr(read, "_open", lambda *_: opened)
    stores = []
    for store in ("pixels", "stream"):
        options = {"name": "DTD", "path": str(folder), "store": store, "on_error": "skip"}
        make(tmp_path / store, "torchvision", options)
        stores.append(open_images(tmp_path / store / "images/train/manifest.json"))
    assert np.array_equal(stores[1].read(0, 100), stores[0].images)
