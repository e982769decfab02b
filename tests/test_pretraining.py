"""The pre-training job: any architecture of the zoo, heads that are thrown away, logs, what it refuses."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import stored
from safetensors.torch import load_file
from trainings import PRETRAINING, image_store

from nctransfer.data.image_store import ImageStore
from nctransfer.errors import ConfigError, DataError, ModelError, TrainingError
from nctransfer.stamp import UNSTAMPED
from nctransfer.storage.stores import Store
from nctransfer.storage.tables import read_table
from nctransfer.training.operation import Operation
from nctransfer.training.pretraining import pretrain
from nctransfer.training.settings import PretrainJobSettings

CPU = torch.device("cpu")
TRAINING = PRETRAINING | {"learning_rate": 0.02, "augmentation": {"level": 2, "crop_padding": 1}}
MLP = {"layers": 1, "hidden": None, "output": 6}
CONTRASTIVE = {"loss": {"name": "supervised_contrastive", "temperature": 0.1}, "projection": MLP}


def store_of(folder: Path, names="abc") -> ImageStore:
    brightness = 60 * (np.arange(20) % len(names))[:, None, None, None]
    return image_store(folder, np.random.default_rng(0).integers(0, 120, (20, 16, 16, 3)) + brightness, names)


@pytest.fixture
def stores(tmp_path) -> dict[str, ImageStore]:
    return {split: store_of(tmp_path / "images" / split) for split in ("train", "test")}


def run(
    stores, folder: Path, architecture="small/resnet18", size=16, tensorboard=None, options=None, **training
) -> Path:
    told = {
        "architecture": architecture,
        "options": options or ({"width": 4} if architecture.startswith("small/") else {}),
        "geometry": {"resize": [size, size]},
        "size": [size, size],
        "seed": 1,
        "training": TRAINING | training,
        "device": "cpu",
    }
    manifest = folder / "pretraining" / "manifest.json"
    operation = Operation(CPU, folder / "checkpoints", 0, tensorboard)
    pretrain(stores, manifest, PretrainJobSettings.read(told), UNSTAMPED, operation)
    return manifest


def zoo(checkpoint: Path, folder: Path, unit_layout="resnet", **settings):
    told = {"source": "pretraining", "unit_layout": unit_layout, **settings}
    return stored(folder / "model", told, checkpoint)


@pytest.mark.parametrize(
    ("architecture", "unit_layout", "size"),
    [("small/resnet50", "resnet", 16), ("torchvision/mobilenet_v2", "mobilenet", 32), ("torchvision/squeezenet1_1", "squeezenet", 64),
     ("timm/resnet18.a1_in1k", "resnet", 32)],
)  # fmt: skip
def test_any_architecture_of_the_zoo_is_trained_and_goes_back_to_the_zoo(
    stores, tmp_path, architecture, unit_layout, size
):
    checkpoint = run(stores, tmp_path, architecture, size, epochs=1)
    backbone = zoo(checkpoint, tmp_path, unit_layout)
    assert backbone.head.classes == 3
    assert backbone.head.class_names == ("a", "b", "c")
    assert torch.isfinite(backbone.capture(torch.rand(2, 3, size, size)).logits).all()
    assert not (tmp_path / "checkpoints").exists()


def test_no_epochs_leave_the_first_weights_and_a_test(stores, tmp_path):
    first, again = (run(stores, tmp_path / name, epochs=0) for name in "ab")
    one = run(stores, tmp_path / "c", epochs=1)
    weights = [
        load_file(Store(each, "pretraining").path("arrays/weights.safetensors"))
        for each in (first, again, one)
    ]
    assert weights[0].keys() == weights[2].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not torch.equal(weights[0]["fc.weight"], weights[2]["fc.weight"])
    history = read_table(first.with_name("history.parquet"))
    whats = history[["epoch", "steps", "split", "images"]].to_numpy().tolist()
    assert whats == [[0, 0, "test", "clean"], [0, 0, "train", "clean"]]
    assert history["accuracy"].between(0, 100).all()


@pytest.mark.parametrize("changes", [{"projection": MLP}, CONTRASTIVE], ids=["cross-entropy", "contrastive"])
def test_a_projection_head_is_thrown_away_with_the_classifier_on_it(stores, tmp_path, changes):
    checkpoint = run(stores, tmp_path, snapshots=[1, 2], **changes)
    weights = Store(checkpoint, "pretraining").path("arrays/weights.safetensors")
    assert b"fc." not in weights.read_bytes()
    backbone = zoo(checkpoint, tmp_path)
    assert backbone.head is None
    seen = backbone.capture(torch.rand(2, 3, 16, 16))
    assert seen.penultimate.shape == (2, 32)
    assert seen.logits is None
    snapshot = zoo(checkpoint, tmp_path / "first", epoch=1)
    assert snapshot.identity.fingerprint != backbone.identity.fingerprint
    last = zoo(checkpoint, tmp_path / "last", epoch=2)
    assert last.identity.fingerprint == backbone.identity.fingerprint


def test_a_size_that_the_network_does_not_take_is_an_error_before_training(stores, tmp_path):
    vit = "timm/vit_tiny_patch16_224"
    with pytest.raises(
        ModelError, match=r"vit_tiny_patch16_224: does not accept images of 32 x 32 px .*; change size"
    ):
        run(stores, tmp_path, vit, 32)
    checkpoint = run(
        stores, tmp_path, vit, 32, options={"img_size": 32, "depth": 2}, epochs=1, projection=MLP
    )
    assert len(zoo(checkpoint, tmp_path, "vit").units) == 2


@pytest.mark.parametrize(
    ("architecture", "size", "training", "kind", "words"),
    [
        ("torchvision/squeezenet1_1", 64, {"projection": MLP}, ModelError, "SqueezeNet: there is Conv2d at 'classifier.1'"),
        ("timm/deit_tiny_distilled_patch16_224", 224, {"projection": MLP}, ModelError, r"has several classification layers \(head, head_dist\)"),
        ("small/resnet18", 16, {"loss": CONTRASTIVE["loss"]}, TrainingError, "loss supervised_contrastive: needs a projection head"),
        ("small/resnet18", 16, {"learning_rate": 1e30}, TrainingError, r"the loss is (nan|inf) in epoch \d, step \d of 3, at learning rate 1e\+30"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_leaves_nothing(stores, tmp_path, architecture, size, training, kind, words):
    with pytest.raises(kind, match=words):
        run(stores, tmp_path, architecture, size, **training)
    assert not (tmp_path / "pretraining").exists()


def test_splits_of_other_classes_are_refused(stores, tmp_path):
    stores["test"] = store_of(tmp_path / "other", "abd")
    with pytest.raises(DataError, match="have different classes"):
        run(stores, tmp_path)


def test_tensorboard_is_told_what_the_history_holds(stores, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    checkpoint = run(stores, tmp_path, tensorboard=tmp_path / "board")
    history = read_table(checkpoint.parent / "history.parquet")
    events = EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    test = history[history["split"] == "test"]
    told = [event.value for event in events.Scalars("accuracy/test_clean")]
    assert told == pytest.approx(list(test["accuracy"]))
    assert len(events.Scalars("learning_rate")) == 2


def test_tensorboard_that_is_not_installed_is_an_error_before_training(stores, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError, match=r"operation.tensorboard: true needs the package tensorboard"):
        run(stores, tmp_path, tensorboard=tmp_path / "board")
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_a_compiled_network_trains_like_the_plain_one(stores, tmp_path):
    plain = run(stores, tmp_path / "plain")
    compiled = run(stores, tmp_path / "compiled", compile=True)
    losses = [read_table(path.parent / "history.parquet")["loss"].to_numpy() for path in (plain, compiled)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3, atol=1e-3)
