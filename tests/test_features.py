"""Extraction: one pass gives what the network gives, whatever the batches, formats and memory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import backbone_of
from trainings import image_store, noise

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
from nctransfer.models.backbone import Backbone, Head
from nctransfer.stamp import UNSTAMPED

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
    network = Architecture.parse("small/resnet18", {"width": 4}, 3).build()
    made = backbone_of(network, "resnet", (16, 16), Head("fc", 3))
    made.identity = replace(made.identity, fingerprint="f00d")
    return made


@pytest.fixture
def images(tmp_path) -> ImageStore:
    return image_store(tmp_path / "images", noise(21, 8))


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
        x = (x.float() / 255 - 0.5) / 0.5
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


@pytest.mark.parametrize(
    ("changes", "relative", "absolute"),
    [
        *(({"batch_size": size}, 1e-4, 1e-5) for size in (1, 5, 21, 100)),
        ({"format": "parquet"}, 0, 0),
        ({"dtype": "float16"}, 1e-3, 1e-4),
    ],
)
def test_batches_formats_and_types_hold_the_same(backbone, images, tmp_path, changes, relative, absolute):
    usual, other = (
        extract(backbone, images, tmp_path / "a"),
        extract(backbone, images, tmp_path / "b", **changes),
    )
    assert (tmp_path / "b/features/arrays/features.parquet").is_file() == ("format" in changes)
    for column in usual.columns:
        assert other[column.name].dtype == changes.get("dtype", "float32")
        np.testing.assert_allclose(other[column.name], usual[column.name], rtol=relative, atol=absolute)


def test_the_same_job_writes_the_same_bytes(backbone, images, tmp_path):
    for name in ("a", "b"):
        extract(backbone, images, tmp_path / name)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert len(files_of(tmp_path / "a")) > 3


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


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory"),
            ModelError,
            r"a single image of .* does not fit in memory",
        ),
        (RuntimeError("shapes differ"), RuntimeError, "shapes differ"),  # not taken for lack of memory
    ],
)
def test_what_fails_for_a_single_image_is_an_error(backbone, images, monkeypatch, raised, kind, words):
    def capture(self, inputs, *args, **kwargs):
        raise raised

    monkeypatch.setattr(Backbone, "capture", capture)
    with pytest.raises(kind, match=words):
        list(forward_pass(backbone, images, ["avg"], SETTINGS))


def test_features_that_are_not_finite_are_named_and_nothing_is_left(backbone, images, tmp_path):
    broken = Architecture.parse("small/resnet18", {"width": 4}, 3).build().eval()
    with torch.no_grad():
        next(dict(broken.named_children())["layer3"].parameters()).fill_(float("nan"))
    bad = backbone_of(broken, "resnet", (16, 16), backbone.head)
    with pytest.raises(DegenerateInputError, match=r"unit 5 \(layer3.0\) are not finite from image 0"):
        extract(bad, images, tmp_path / "x")
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
    stores = (
        image_store(tmp_path / "raw", raw),
        image_store(tmp_path / "shaped", shaped.permute(0, 2, 3, 1).numpy(), geometry=geometry.told()),
    )
    found = [
        extract(backbone, each, tmp_path / f"f{len(each.images[0])}", geometry=geometry) for each in stores
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
