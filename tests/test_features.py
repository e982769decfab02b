"""Extraction: one pass gives what the network gives, whatever the batches, formats and memory."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nctransfer.data.image_store import ImageStore
from nctransfer.data.resize import apply_geometry
from nctransfer.data.settings import Geometry
from nctransfer.errors import DegenerateInputError, ModelError, StoreError
from nctransfer.features.extract import extract_features, forward_pass
from nctransfer.features.feature_store import FeatureStore
from nctransfer.features.settings import (
    FeaturesJobSettings,
    FeaturesJoinedJobSettings,
    FeaturesShardJobSettings,
)
from nctransfer.features.shards import join_shards
from nctransfer.models.architecture import Architecture
from nctransfer.models.backbone import Backbone, Head, Identity, measure
from nctransfer.models.model_store import describe
from nctransfer.stamp import UNSTAMPED
from nctransfer.storage.stores import create_store

SETTINGS = FeaturesJobSettings(
    batch_size=8,
    geometry=Geometry(resize=(16, 16)),
    poolings=("avg",),
    loader="stored",
    device="cpu",
)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    network = Architecture.parse("small/resnet18", {"width": 4}, 3).build().eval()
    layout = describe(network, "resnet")
    units, width = measure(network, layout, (16, 16))
    identity = Identity("small", "resnet18", "", "resnet", (0.5,) * 3, (0.25,) * 3, (16, 16), None, "f00d")
    return Backbone(network, layout, units, width, Head("fc", 3), identity).eval()


@pytest.fixture
def images(tmp_path) -> ImageStore:
    rng = np.random.default_rng(0)
    manifest = tmp_path / "images" / "manifest.json"
    with create_store(manifest, "images") as store:
        store.put("images", rng.integers(0, 256, (21, 8, 8, 3), np.uint8))
        store.put("labels", np.arange(21) % 3)
        store.meta = {"class_names": ["a", "b", "c"], "resolution": [8, 8]}
    return ImageStore(manifest)


def extract(backbone, images, folder, **changes) -> FeatureStore:
    manifest = folder / "features" / "manifest.json"
    extract_features(backbone, images, manifest, SETTINGS.model_copy(update=changes), UNSTAMPED)
    return FeatureStore(manifest)


def by_hand(backbone, images):
    """Every unit's features by a truncated walk through the network, without hooks."""
    x = torch.nn.functional.interpolate(
        torch.from_numpy(images.images[:].copy()).permute(0, 3, 1, 2),
        (16, 16),
        mode="bilinear",
        antialias=True,
    )
    network = backbone.network
    with torch.no_grad():
        x = (x.float() / 255 - 0.5) / 0.25
        children = dict(network.named_children())
        x = torch.relu(children["bn1"](children["conv1"](x)))
        found = {"unit00.avg": x.mean((2, 3))}
        index = 0
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            for block in children[stage]:
                index += 1
                x = block(x)
                found[f"unit{index:02d}.avg"] = x.mean((2, 3))
        found["penultimate"] = x.mean((2, 3))
        found["logits"] = children["fc"](found["penultimate"])
    return {name: value.numpy() for name, value in found.items()}


def test_every_unit_is_what_the_network_gives(backbone, images, tmp_path):
    store = extract(backbone, images, tmp_path)
    expected = by_hand(backbone, images)
    assert [column.name for column in store.columns] == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(store[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(store.labels, np.arange(21) % 3)
    assert store.meta["weights"] == "f00d"
    assert [column.width for column in store.columns[:2]] == [4, 4]


def test_the_penultimate_feature_alone_is_that_of_all_units(backbone, images, tmp_path):
    whole = extract(backbone, images, tmp_path / "all")
    alone = extract(backbone, images, tmp_path / "alone", units="penultimate")
    assert [column.name for column in alone.columns] == ["penultimate", "logits"]
    assert alone.unit_columns[0] == whole.unit_columns[-1]
    for name in ("penultimate", "logits"):
        assert np.array_equal(alone[name], whole[name])


@pytest.mark.parametrize("size", [1, 5, 21, 100])
def test_the_batch_size_does_not_matter(backbone, images, tmp_path, size):
    first, second = (
        extract(backbone, images, tmp_path / "a"),
        extract(backbone, images, tmp_path / "b", batch_size=size),
    )
    for column in first.columns:
        np.testing.assert_allclose(first[column.name], second[column.name], rtol=1e-4, atol=1e-5)


def test_npy_and_parquet_hold_the_same(backbone, images, tmp_path):
    npy, parquet = (
        extract(backbone, images, tmp_path / "a"),
        extract(backbone, images, tmp_path / "b", format="parquet"),
    )
    assert (tmp_path / "b/features/arrays/features.parquet").is_file()
    for column in npy.columns:
        np.testing.assert_array_equal(npy[column.name], parquet[column.name])


def test_half_storage_keeps_three_digits(backbone, images, tmp_path):
    full, half = (
        extract(backbone, images, tmp_path / "a"),
        extract(backbone, images, tmp_path / "b", dtype="float16"),
    )
    assert half["penultimate"].dtype == np.float16
    np.testing.assert_allclose(full["penultimate"], half["penultimate"], rtol=1e-3, atol=1e-4)


def test_the_same_job_writes_the_same_bytes(backbone, images, tmp_path):
    for name in ("a", "b"):
        extract(backbone, images, tmp_path / name)
    first, second = ({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")} for folder in (tmp_path / "a", tmp_path / "b"))  # fmt: skip
    assert first == second
    assert len(first) > 3


def test_a_batch_that_does_not_fit_is_halved_and_the_pass_goes_on(backbone, images, tmp_path, monkeypatch):
    sizes = []
    original = Backbone.capture

    def capture(self, inputs, *args, **kwargs):
        sizes.append(len(inputs))
        if len(inputs) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, inputs, *args, **kwargs)

    expected = extract(backbone, images, tmp_path / "a")
    monkeypatch.setattr(Backbone, "capture", capture)
    found = extract(backbone, images, tmp_path / "b")
    assert sizes[:3] == [8, 4, 2]
    assert sum(size for size in sizes if size <= 3) == 21  # every image once
    np.testing.assert_allclose(found["penultimate"], expected["penultimate"], rtol=1e-4, atol=1e-5)


def test_an_image_that_does_not_fit_alone_is_an_error(backbone, images, monkeypatch):
    def capture(self, inputs, *args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Backbone, "capture", capture)
    with pytest.raises(ModelError, match=r"a single image of .* does not fit in memory"):
        list(forward_pass(backbone, images, ["avg"], SETTINGS))


def test_another_error_is_not_taken_for_lack_of_memory(backbone, images, monkeypatch):
    def capture(self, inputs, *args, **kwargs):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Backbone, "capture", capture)
    with pytest.raises(RuntimeError, match="shapes differ"):
        list(forward_pass(backbone, images, ["avg"], SETTINGS))


def test_features_that_are_not_finite_are_named_and_nothing_is_left(backbone, images, tmp_path):
    broken = Architecture.parse("small/resnet18", {"width": 4}, 3).build().eval()
    with torch.no_grad():
        next(dict(broken.named_children())["layer3"].parameters()).fill_(float("nan"))
    bad = Backbone(
        broken,
        backbone.layout,
        [backbone.stem, *backbone.units],
        backbone.width,
        backbone.head,
        backbone.identity,
    )
    with pytest.raises(DegenerateInputError, match=r"unit 5 \(layer3.0\) are not finite from image 0"):
        extract(bad.eval(), images, tmp_path / "x")
    assert not list((tmp_path / "x").iterdir())


def test_features_too_large_for_their_stored_type_are_named(backbone, images, tmp_path, monkeypatch):
    original = Backbone.normalise
    monkeypatch.setattr(Backbone, "normalise", lambda self, pixels: original(self, pixels) * 1e7)
    with pytest.raises(DegenerateInputError, match=r"not finite from image 0 .*features.dtype to float32"):
        extract(backbone, images, tmp_path / "x", dtype="float16")
    assert not list((tmp_path / "x").iterdir())


def test_a_pooling_that_does_not_suit_is_refused(backbone, images, tmp_path):
    with pytest.raises(ModelError, match=r"'cls' does not suit.*allowed: avg"):
        extract(backbone, images, tmp_path, poolings=["cls"])


def test_an_unknown_column_is_refused_with_what_there_is(backbone, images, tmp_path):
    with pytest.raises(StoreError, match=r"no column 'unit99.avg'.*unit00.avg"):
        extract(backbone, images, tmp_path)["unit99.avg"]


def test_images_stored_at_their_geometry_are_not_shaped_again(backbone, tmp_path):
    """A library's transform (resize 20, crop 16) is no identity on its own output."""
    geometry = Geometry(resize=20, crop=16)
    raw = np.random.default_rng(1).integers(0, 256, (5, 30, 24, 3), np.uint8)
    shaped = apply_geometry(torch.from_numpy(raw).permute(0, 3, 1, 2), geometry)
    manifests = {}
    for name, pictures, stored in (
        ("raw", raw, None),
        ("shaped", shaped.permute(0, 2, 3, 1).numpy(), geometry.told()),
    ):
        manifests[name] = tmp_path / name / "manifest.json"
        with create_store(manifests[name], "images") as store:
            store.put("images", pictures)
            store.put("labels", np.arange(5) % 3)
            height, width = pictures.shape[1:3]
            store.meta = {"class_names": ["a", "b", "c"], "resolution": [height, width], "geometry": stored}
    found = [
        extract(backbone, ImageStore(path), tmp_path / f"f{name}", geometry=geometry)
        for name, path in manifests.items()
    ]
    np.testing.assert_array_equal(found[0]["penultimate"], found[1]["penultimate"])


def parts_of(backbone, images, folder, shards, **changes) -> list[Path]:
    """Manifests of the shards of an extraction, of 8 images a batch."""
    values = SETTINGS.model_copy(update=changes).told() | {"format": "npy", "shards": shards}
    manifests = [folder / str(shard) / "manifest.json" for shard in range(shards)]
    for shard, manifest in enumerate(manifests):
        settings = FeaturesShardJobSettings.read(values | {"shard": shard})
        extract_features(backbone, images, manifest, settings, UNSTAMPED, settings.rows(len(images)))
    return manifests


def join(parts, folder, **changes) -> FeatureStore:
    values = SETTINGS.model_copy(update=changes).told() | {"shards": len(parts)}
    manifest = folder / "features" / "manifest.json"
    join_shards(parts, manifest, FeaturesJoinedJobSettings.read(values))
    return FeatureStore(manifest)


def files_of(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("changes", [{}, {"format": "parquet"}, {"dtype": "float16"}, {"batch_size": 5}])
@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_shards_together_are_one_extraction_to_the_byte(backbone, images, tmp_path, shards, changes):
    """21 images in three or five batches, the last one smaller; seven shards are more than there are batches."""
    extract(backbone, images, tmp_path / "whole", **changes)
    join(parts_of(backbone, images, tmp_path / "parts", shards, **changes), tmp_path, **changes)
    assert files_of(tmp_path / "features") == files_of(tmp_path / "whole/features")


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (
            lambda parts: (parts[1].parent / "arrays/unit03.avg.npy").write_bytes(b"x"),
            "unit03.avg.npy: its bytes differ",
        ),
        (lambda parts: parts[1].unlink(), "1/manifest.json: no such store"),
        (lambda parts: parts.pop(1), "2/manifest.json: rows 16 to 21 of 21 do not continue the 8 rows"),
        (lambda parts: parts.pop(), "the last shard, but only 16 of 21 rows are there"),
        (lambda parts: parts.reverse(), "rows 16 to 21 of 21 do not continue the 0 rows"),
        (lambda parts: parts[1].write_text(parts[1].read_text().replace("f00d", "beef")), "do not continue"),
    ],
)
def test_shards_that_are_damaged_or_do_not_belong_together_are_refused(
    backbone, images, tmp_path, spoil, error
):
    parts = parts_of(backbone, images, tmp_path / "parts", 3)
    spoil(parts)
    with pytest.raises(StoreError, match=error):
        join(parts, tmp_path)
    assert not (tmp_path / "features").exists()
