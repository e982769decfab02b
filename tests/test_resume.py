"""Killed or told to stop at any moment: the next run of the same job ends with the same bytes."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
import yaml
from project import TINY, Project

from nctransfer.data.image_store import ImageStore
from nctransfer.data.images import prepare_images
from nctransfer.data.settings import ImagesJobSettings
from nctransfer.stamp import UNSTAMPED
from nctransfer.training.operation import Operation
from nctransfer.training.pretraining import pretrain
from nctransfer.training.settings import PretrainJobSettings

pytestmark = pytest.mark.slow

MOMENTS = 20
SEED = 20241121
# Children start as copies of this process: importing torch anew 80 times would take most of the time.
PROCESSES = multiprocessing.get_context("fork")
STRONG = {
    "level": 5,
    "crop_padding": 1,
    "jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1, "probability": 0.8},
    "grayscale": 0.2,
}
SETTINGS = {
    "architecture": "small/resnet18",
    "options": {"width": 4},
    "geometry": {"resize": [8, 8]},
    "size": [8, 8],
    "seed": 5,
    "device": "cpu",
    "training": {
        "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
        "epochs": 8,
        "batch_size": 32,
        "learning_rate": 0.05,
        "learning_rate_min": 1e-4,
        "warmup_epochs": 1,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "precision": "float32",
        "channels_last": True,
        "compile": False,
        "projection": None,
        "augmentation": {"level": 3, "crop_padding": 1},
        "adversary": {
            "radius": 0.1,
            "steps": 2,
            "step_size": 0.06,
            "batch_norm": "eval",
            "evaluate_every": 3,
        },
        "snapshots": [3, 8],
    },
}


# Kinds of trainings and minutes between their checkpoints: after every epoch, or by the clock, within epochs.
KINDS = [
    ({}, 0.0),
    ({"adversary": None, "precision": "bfloat16", "augmentation": STRONG}, 0.0005),
    (
        {
            "adversary": None,
            "augmentation": STRONG,
            "loss": {"name": "supervised_contrastive", "temperature": 0.1},
            "projection": {"layers": 1, "hidden": None, "output": 8},
        },
        0.0005,
    ),
]


def job(images: Path, folder: Path, kind: int) -> None:
    """What the script of the rule does."""
    torch.set_num_threads(1)
    changes, minutes = KINDS[kind]
    stores = {split: ImageStore(images / split / "manifest.json") for split in ("train", "test")}
    operation = Operation(torch.device("cpu"), folder / "checkpoints", checkpoint_minutes=minutes)
    settings = PretrainJobSettings.read(SETTINGS | {"training": SETTINGS["training"] | changes})
    pretrain(stores, folder / "pretraining" / "manifest.json", settings, UNSTAMPED, operation)


def start(images: Path, folder: Path, kind: int):
    process = PROCESSES.Process(target=job, args=(images, folder, kind))
    process.start()
    return process


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def await_checkpoint(process, folder: Path) -> None:
    while not list((folder / "checkpoints").glob("epoch*")):
        assert process.is_alive()
        time.sleep(0.005)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    settings = {
        "source": "digits", "options": {}, "classes": ["0", "1", "2"], "per_class": 60, "test_per_class": 20,
        "geometry": None, "seed": 0,
    }  # fmt: skip
    manifests = {split: folder / split / "manifest.json" for split in ("train", "test")}
    prepare_images(manifests, ImagesJobSettings.read(settings), UNSTAMPED, folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(images, tmp_path_factory):
    """What runs that nobody disturbs leave, how long they take, and how long from the first checkpoint on, by kind."""
    found = []
    for kind in range(len(KINDS)):
        folder = tmp_path_factory.mktemp("undisturbed")
        began = time.monotonic()
        process = start(images, folder, kind)
        await_checkpoint(process, folder)
        stepping = time.monotonic()
        process.join()
        assert process.exitcode == 0
        ended = time.monotonic()
        found.append((contents(folder), ended - began, ended - stepping))
    return found


@pytest.fixture(scope="module")
def told_to_stop() -> list[int]:
    """Exit codes of the runs that were told to stop: 1 where steps were being taken."""
    return []


@pytest.mark.parametrize("number", range(MOMENTS))
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_run_hit_at_any_moment_ends_like_an_undisturbed_one(
    undisturbed, told_to_stop, images, tmp_path, name, number
):
    kind = number % len(KINDS)
    expected, duration, stepping = undisturbed[kind]
    dice = random.Random(f"{SEED} {name} {number}")
    process = start(images, tmp_path, kind)
    if number % 2:  # more than half of the time goes before the first step
        await_checkpoint(process, tmp_path)
        duration = stepping
    time.sleep(dice.uniform(0.02, 0.98) * duration)
    os.kill(process.pid, getattr(signal, name))
    process.join()
    # told to stop between steps (1), ended by the signal before or after them, or done already
    assert process.exitcode in (0, 1, -getattr(signal, name))
    if name == "SIGTERM":
        told_to_stop.append(process.exitcode)
    if process.exitcode == 1:
        assert name == "SIGTERM"
        assert not (tmp_path / "pretraining").exists()
    again = start(images, tmp_path, kind)
    again.join()
    assert again.exitcode == 0
    assert contents(tmp_path) == expected  # no checkpoint, no half file is left either


def test_the_moments_hit_trainings_under_way(told_to_stop):
    """A good part of the signals comes while steps are taken."""
    if len(told_to_stop) < MOMENTS:
        pytest.skip("not all moments were run")
    assert told_to_stop.count(1) > MOMENTS / 4


def test_a_stop_leaves_a_checkpoint_to_go_on_from_and_no_result(images, tmp_path):
    process = start(images, tmp_path, 0)
    await_checkpoint(process, tmp_path)
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == 1
    assert list((tmp_path / "checkpoints").glob("epoch*-step*/manifest.json"))
    assert not (tmp_path / "pretraining").exists()


def test_neither_the_number_of_jobs_at_once_nor_their_order_changes_a_result(tmp_path):
    overlay = yaml.safe_load(TINY.read_text())
    overlay["resources"]["threads"] = 2
    overlay["families"] = {
        "f": {
            "architecture": "small/resnet18", "options": {"width": 4}, "dataset": "digits04", "size": 8,
            "training": {"epochs": 2, "batch_size": 32},
            "members": {"aug": {"augmentation": [2, 5]}},
        }
    }  # fmt: skip
    targets = [f"results/tiny/pretraining/f-aug{level}/manifest.json" for level in (2, 5)]
    found = []
    for jobs, order in ((1, targets), (2, targets[::-1])):
        project = Project.small(tmp_path / str(jobs))
        (project.folder / "tiny.yaml").write_text(yaml.safe_dump(overlay))
        run = project.run(*order, options=(f"-j{jobs}",))
        assert run.returncode == 0, run.stdout + run.stderr
        found.append(project.contents("results"))
    assert found[0] == found[1]
