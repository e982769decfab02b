"""The trainer of source models: torch's own schedule and steps, exact resumption, honest failure."""

import functools
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn
from trainings import PRETRAINING, StopAfter

from nctransfer import variants
from nctransfer.data.keyed_random import Stream, sample_keys, stream_seed
from nctransfer.errors import TrainingError
from nctransfer.runtime.job_log import CONTINUED
from nctransfer.stamp import Stamp
from nctransfer.storage.tables import read_table
from nctransfer.training import losses
from nctransfer.training.checkpoints import Checkpoints
from nctransfer.training.evaluation import Split, Standardisation, Standardised, evaluate
from nctransfer.training.learning_rate_schedule import cosine, learning_rate
from nctransfer.training.loop import Data, Training
from nctransfer.training.settings import PretrainingLoopSettings
from nctransfer.training.stop_signals import StopRequest

SETTINGS = PRETRAINING | {"epochs": 4, "batch_size": 16}
AUGMENTED = {"level": 3, "crop_padding": 1}
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8}
STRONG = {"level": 5, "crop_padding": 1, "jitter": JITTER, "grayscale": 0.2}
ATTACK = {"radius": 8 / 255, "steps": 2, "step_size": 6 / 255, "batch_norm": "eval", "evaluate_every": 2}


@pytest.fixture
def splits() -> dict[str, Split]:
    """Two classes told apart by brightness; the last batch of 16 would hold one image."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(65) % 2
    images = torch.randint(0, 100, (65, 3, 8, 8), generator=generator) + 100 * labels.view(-1, 1, 1, 1)
    whole = Split(images.to(torch.uint8), labels)
    return {"train": whole, "test": Split(whole.images[:20], whole.labels[:20])}


def build(
    splits, folder: Path, *, seed: int = 3, digest: str = "d", minutes: float = 0, **changes
) -> Training:
    """A training of a small network with dropout, whose state batch normalisation and torch's generator share."""
    settings = PretrainingLoopSettings.read(SETTINGS | changes)
    torch.manual_seed(seed)
    objective = variants.load(losses, settings.loss.name, "loss").build(settings.loss, 2)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(4, 2 if objective.classifies else 3),
    )
    whole = Standardised(network, Standardisation.of(splits["train"].images))
    checkpoints = Checkpoints(folder, Stamp(digest), minutes)
    train = replace(splits["train"], augmentation=settings.augmentation)
    data = Data(train, splits["test"], seed)
    return Training(whole, objective, data, settings, checkpoints, network.state_dict)


def weights(training: Training) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in training.network.state_dict().items()}


def equal(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


# --- schedule -----------------------------------------------------------------------------


def test_layers_and_order_draw_numbers_of_their_own_in_every_seed_and_epoch(splits, tmp_path):
    """Dropout of seed 4, epoch 0, was that of seed 3, epoch 1; and that of epoch 0 began as the weights did."""
    seeds, orders = [3, 4], []
    for seed in (3, 4):
        training = build(splits, tmp_path / str(seed), seed=seed, epochs=2)
        seeds.append(torch.initial_seed())
        orders.append(tuple(training._order().tolist()))
        training.run(StopRequest(), lambda _: seeds.append(torch.initial_seed()))  # of the epoch that follows
        orders.append(tuple(training._order().tolist()))
    assert len(set(seeds)) == 8
    assert len(set(orders)) == 4


def test_the_cosine_is_torchs():
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=50, eta_min=1e-4)
    for epoch in range(50):
        assert cosine(epoch, 50, 0.1, 1e-4) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        schedule.step()


def test_the_warm_up_rises_step_by_step_to_the_rate_at_which_the_cosine_starts():
    changed = {"learning_rate": 0.2, "learning_rate_min": 0.0, "warmup_epochs": 2, "epochs": 10}
    settings = PretrainingLoopSettings.read(SETTINGS | changed)
    rates = [learning_rate(settings, epoch, step, 5) for epoch in range(2) for step in range(5)]
    assert rates == pytest.approx([0.02 * number for number in range(1, 11)])
    assert learning_rate(settings, 2, 0, 5) == pytest.approx(0.2)
    assert learning_rate(settings, 6, 3, 5) == pytest.approx(cosine(4, 8, 0.2, 0.0))


# --- images -------------------------------------------------------------------------------


def test_standardised_images_have_mean_0_and_variance_1(splits):
    images = splits["train"].images
    scale = Standardisation.of(images)
    scaled = Standardised(nn.Identity(), scale)(images.float() / 255)
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(scaled.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    constant = Standardisation.of(torch.full((4, 3, 2, 2), 7, dtype=torch.uint8))
    assert constant.std == (1.0, 1.0, 1.0)  # left unscaled


# --- training -----------------------------------------------------------------------------


def test_it_learns_what_can_be_learnt_and_keeps_a_history(splits, tmp_path):
    training = build(splits, tmp_path, epochs=8)
    history = training.run(StopRequest())
    assert list(history.columns) == [
        "epoch", "steps", "split", "images", "learning_rate", "loss", "accuracy",
    ]  # fmt: skip
    assert list(history["epoch"].unique()) == list(range(1, 9))
    assert (history["steps"] == history["epoch"] * training.steps).all()
    assert set(history.loc[history["split"] == "train", "images"]) == {"augmented"}
    test = history[history["split"] == "test"]
    assert test.iloc[-1]["accuracy"] > 90
    found = evaluate(training.network, training.objective, splits["test"])
    assert test.iloc[-1]["accuracy"] == found["accuracy"]
    assert test.iloc[-1]["loss"] == pytest.approx(found["loss"])
    losses = history[history["split"] == "train"]["loss"]
    assert losses.iloc[-1] < losses.iloc[0]
    assert history.iloc[0]["learning_rate"] == pytest.approx(0.05)
    pd.testing.assert_frame_equal(
        read_table(tmp_path / "history.parquet"), history
    )  # as it stood while running


def test_one_step_is_that_of_torchs_optimiser(splits, tmp_path):
    ours = build(splits, tmp_path / "a", epochs=1, batch_size=65)
    theirs = build(splits, tmp_path / "b", epochs=1, batch_size=65).network
    for network in (ours.network, theirs):
        network.network[5].p = 0.0  # dropout sees the samples in another order
    ours.run(StopRequest())
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    outputs = theirs.train()(splits["train"].images.float() / 255)
    nn.functional.cross_entropy(outputs, splits["train"].labels).backward()
    optimiser.step()
    for mine, other in zip(ours.network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_an_epoch_shows_every_image_once_but_a_last_one_alone(splits, tmp_path):
    training = build(splits, tmp_path)
    assert training.steps == 4  # 4 x 16, and one image over
    assert sorted(training._order().tolist()) == list(range(65))
    first = training._order()
    training.epoch = 1
    assert not torch.equal(first, training._order())


def test_an_adversary_of_radius_0_is_clean_training_exactly(splits, tmp_path):
    clean = build(splits, tmp_path / "a", augmentation=AUGMENTED)
    clean.run(StopRequest())
    attacked = build(
        splits, tmp_path / "b", augmentation=AUGMENTED, adversary=ATTACK | {"radius": 0.0, "step_size": 0.0}
    )
    attacked.run(StopRequest())
    assert equal(weights(clean), weights(attacked))


def test_adversarial_training_reports_robust_beside_clean_accuracy(splits, tmp_path):
    training = build(splits, tmp_path, epochs=3, adversary=ATTACK)
    history = training.run(StopRequest())
    assert set(history[history["split"] == "train"]["images"]) == {"adversarial"}
    test = history[history["split"] == "test"]
    assert list(test[test["images"] == "clean"]["epoch"]) == [1, 2, 3]
    assert list(test[test["images"] == "adversarial"]["epoch"]) == [2, 3]  # every second, and the last
    last = test[test["epoch"] == 3].set_index("images")
    assert last.loc["adversarial", "loss"] > last.loc["clean", "loss"]
    pixels = splits["test"].images.float() / 255
    keys = sample_keys(stream_seed(3, Stream.TEST_ATTACK), 0, torch.arange(20))
    found = training.adversary.attack(
        training.network, training.objective, pixels, splits["test"].labels, keys
    )
    right = training.network.eval()(found).argmax(1) == splits["test"].labels
    assert last.loc["adversarial", "accuracy"] == pytest.approx(100 * right.float().mean().item())


def test_contrastive_training_names_classes_from_the_second_epoch_on(splits, tmp_path):
    loss = {"name": "supervised_contrastive", "temperature": 0.1}
    history = build(splits, tmp_path, loss=loss, augmentation=AUGMENTED).run(StopRequest())
    train, test = (history[history["split"] == split] for split in ("train", "test"))
    assert list(train["accuracy"].isna()) == [True, False, False, False]
    assert test["accuracy"].iloc[-1] > 80
    assert test["loss"].isna().all()


def test_bfloat16_changes_the_arithmetic_and_not_the_weights_type(splits, tmp_path):
    training = build(splits, tmp_path, precision="bfloat16")
    history = training.run(StopRequest())
    assert {value.dtype for value in training.network.parameters()} == {torch.float32}
    assert history["loss"].notna().all()
    plain = build(splits, tmp_path / "plain")
    plain.run(StopRequest())
    assert not equal(weights(plain), weights(training))


# --- stopping and going on ------------------------------------------------------------------

KINDS = {
    "clean": {"augmentation": AUGMENTED, "snapshots": [2, 4]},
    "adversarial": {"adversary": ATTACK, "augmentation": AUGMENTED, "epochs": 3},
    "contrastive": {
        "loss": {"name": "supervised_contrastive", "temperature": 0.1},
        "augmentation": AUGMENTED,
    },
    "warming up": {"warmup_epochs": 2},
}


@pytest.mark.parametrize("kind", ["clean", "contrastive"])
def test_how_many_batches_are_augmented_at_once_changes_nothing(splits, tmp_path, monkeypatch, kind):
    states = []
    for numbers in (1, 2 * 16 * 3 * 8 * 8, 2**24):
        monkeypatch.setattr("nctransfer.training.loop.AUGMENTED_AT_ONCE", numbers)
        training = build(splits, tmp_path / str(numbers), **KINDS[kind] | {"augmentation": STRONG})
        training.run(StopRequest())
        states.append(weights(training))
    assert equal(states[0], states[1])
    assert equal(states[0], states[2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("looks", [0, 1, 3, 4, 6, 9])
def test_a_run_stopped_between_two_steps_goes_on_as_if_nothing_had_been(splits, tmp_path, kind, looks):
    whole = build(splits, tmp_path / "whole", **KINDS[kind])
    expected = whole.run(StopRequest())
    stopped = build(splits, tmp_path / "stopped", minutes=1e9, **KINDS[kind])
    with pytest.raises(
        TrainingError, match=r"stopped by SIGTERM in epoch \d+, after step \d of 4; a checkpoint"
    ):
        stopped.run(StopAfter(looks))
    torch.manual_seed(99)  # another process, in another state
    again = build(splits, tmp_path / "stopped", minutes=1e9, **KINDS[kind])
    found = again.run(StopRequest())
    pd.testing.assert_frame_equal(found, expected)
    assert equal(weights(whole), weights(again))
    for epoch in KINDS[kind].get("snapshots", []):
        assert (
            again.checkpoints.snapshot_path(epoch).read_bytes()
            == whole.checkpoints.snapshot_path(epoch).read_bytes()
        )


def stopped_late(splits, folder: Path) -> Training:
    """A training stopped in its last epoch, with a checkpoint after every epoch."""
    training = build(splits, folder, **KINDS["clean"])
    with pytest.raises(TrainingError, match="stopped"):
        training.run(StopAfter(13))
    return training


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("victims", "start"),
    [(["epoch00003-step0000002/state.pt"], 3 * 4), (["epoch00003-step0000002/manifest.json"], 3 * 4),
     (["epoch00003-step0000002/state.pt", "epoch00003-step0000000/state.pt"], 0), (["epoch00002.safetensors"], 0)],
)  # fmt: skip
def test_a_damaged_checkpoint_falls_back_to_the_one_before_it(splits, tmp_path, victims, start, caplog):
    expected = build(splits, tmp_path / "whole", **KINDS["clean"])
    expected.run(StopRequest())
    stopped_late(splits, tmp_path / "hit")
    kept = sorted(path.parent.name for path in (tmp_path / "hit").glob("*/manifest.json"))
    assert kept == ["epoch00003-step0000000", "epoch00003-step0000002"]
    for victim in victims:
        damage(tmp_path / "hit" / victim)
    again = build(splits, tmp_path / "hit", **KINDS["clean"])
    with caplog.at_level("INFO"):
        again._resume()
    assert again.epoch * 4 + again.step == start
    assert any(CONTINUED in f" {record.getMessage()}" for record in caplog.records) == (start > 0)
    again.run(StopRequest())
    assert equal(weights(expected), weights(again))


def test_checkpoints_of_other_threads_are_used_and_those_of_other_code_or_settings_are_not(
    splits, tmp_path, monkeypatch, caplog
):
    stopped_late(splits, tmp_path)
    monkeypatch.setattr(Training, "_surroundings", lambda self: "cuda, 64 threads, torch 3")
    again = build(splits, tmp_path, **KINDS["clean"])
    again._resume()
    assert (again.epoch, again.step) == (3, 2)
    assert "continues on cuda, 64 threads, torch 3 what was started on cpu" in caplog.text
    other = build(splits, tmp_path, digest="other", **KINDS["clean"])
    other._resume()
    assert (other.epoch, other.step) == (0, 0)
    assert not tmp_path.exists()


def test_checkpoints_by_the_clock_are_written_between_steps(splits, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 25))  # seconds: every third look is a minute on
    monkeypatch.setattr("nctransfer.training.checkpoints.time.monotonic", lambda: next(clock))
    training = build(splits, tmp_path, minutes=1)
    saved = []
    save = training.checkpoints.save
    training.checkpoints.save = lambda *state: (saved.append(state[:2]), save(*state))[1]
    training.run(StopRequest())
    assert len(saved) > 3
    assert any(step for _, step in saved)


@pytest.mark.parametrize("text", [b"\xff\xfe", b"[]", b"{}", b'{"kind": "checkpoint", "files": 3}', b""])
def test_a_manifest_that_is_none_falls_back_too(splits, tmp_path, text):
    stopped_late(splits, tmp_path)
    (tmp_path / "epoch00003-step0000002" / "manifest.json").write_bytes(text)
    again = build(splits, tmp_path, **KINDS["clean"])
    again._resume()
    assert (again.epoch, again.step) == (3, 0)


# --- failure --------------------------------------------------------------------------------


def test_divergence_names_epoch_step_and_rate_and_keeps_the_last_good_checkpoint(splits, tmp_path):
    training = build(splits, tmp_path)
    take = training._take_step

    def fail(*batch):
        loss = take(*batch)
        return loss * math.nan if (training.epoch, training.step) == (2, 1) else loss

    training._take_step = fail
    with pytest.raises(
        TrainingError, match=r"the loss is nan in epoch 3, step 2 of 4, at learning rate 0\.025"
    ) as caught:
        training.run(StopRequest())
    assert "lower training.learning_rate" in str(caught.value)
    assert "epoch00002-step0000000" in str(caught.value)
    kept = training.checkpoints.load()
    assert kept["epoch"] == 2
    assert all(torch.isfinite(value).all() for value in kept["network"].values() if value.is_floating_point())


@pytest.mark.parametrize("rate", [1e38, 3e38])
def test_an_only_update_that_ruins_the_weights_completes_nothing(splits, tmp_path, rate):
    """Every loss of the run is finite: it was taken before the update."""
    training = build(splits, tmp_path, epochs=1, batch_size=65, learning_rate=rate, snapshots=[1])
    with pytest.raises(
        TrainingError,
        match=r"(weights are not finite|loss on test images is (nan|inf)) in epoch 1, step 1 of 1",
    ):
        training.run(StopRequest())
    assert not training.checkpoints.snapshot_path(1).exists()
    assert training.checkpoints.newest() is None


def test_a_stop_never_claims_a_checkpoint_that_it_did_not_write(splits, tmp_path):
    training = build(splits, tmp_path, minutes=1e9)
    take = training._take_step

    def ruin(*batch):
        loss = take(*batch)
        next(training.network.parameters()).data.fill_(math.nan)
        return loss

    training._take_step = ruin
    with pytest.raises(TrainingError, match="the weights are not finite in epoch 1, step 1 of 4"):
        training.run(StopAfter(0))


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_robust_accuracy_does_not_depend_on_the_batch_size(splits, tmp_path, mode):
    training = build(splits, tmp_path, adversary=ATTACK | {"batch_norm": mode})
    training.run(StopRequest())
    shown = training.network, training.objective, splits["test"]
    scores = [evaluate(*shown, batch_size=size, attack=(training.adversary, 3)) for size in (20, 7, 2)]
    for score in scores[1:]:
        assert score["loss"] == pytest.approx(scores[0]["loss"], rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_compiled_network_is_attacked_like_the_plain_one(splits, tmp_path, monkeypatch, precision):
    changes = {"adversary": ATTACK, "augmentation": AUGMENTED, "precision": precision, "epochs": 2}
    plain = build(splits, tmp_path / "plain", **changes)
    expected = plain.run(StopRequest())
    monkeypatch.setattr("torch.compile", functools.partial(torch.compile, backend="eager"))
    compiled = build(splits, tmp_path / "compiled", compile=True, **changes)
    found = compiled.run(StopRequest())
    pd.testing.assert_frame_equal(found, expected)
    assert equal(weights(plain), weights(compiled))


def test_nothing_to_train_on_is_an_error(splits, tmp_path):
    one = {"train": Split(splits["train"].images[:1], splits["train"].labels[:1]), "test": splits["test"]}
    with pytest.raises(TrainingError, match="at least 2 images; the training split has 1"):
        build(one, tmp_path)
