"""Fine-tuning killed or told to stop at any moment: the next run of the same job ends with the same bytes."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from test_finetuning import MODELS, save_base, save_images, settings

from nctransfer.data.image_store import ImageStore
from nctransfer.finetuning.run import finetune
from nctransfer.stamp import UNSTAMPED
from nctransfer.training.operation import Operation

pytestmark = pytest.mark.slow

MOMENTS = 12
SEED = 20261125
PROCESSES = multiprocessing.get_context("fork")  # importing torch anew would take most of the time
# model, method, statistics, minutes between checkpoints, GB to keep of the prefix
KINDS = [
    ("resnet", "scl_ft", "update", 0.0, 0.0),
    ("resnet", "layer_ft", "recalibrated", 0.0005, 1.0),
    ("vit", "layer_lora", "update", 0.0005, 1.0),
]


def job(folder: Path, target: Path, number: int) -> None:
    torch.set_num_threads(1)
    kind, method, statistics, minutes, cache = KINDS[number]
    stores = {
        split: ImageStore(folder / kind / "images" / split / "manifest.json") for split in ("train", "test")
    }
    operation = Operation(torch.device("cpu"), target / "checkpoints", minutes, None, cache)
    base, manifest = folder / "bases" / kind / "manifest.json", target / "run" / "manifest.json"
    wanted = settings(kind, method, statistics, epochs=12, learning_rate=0.005)
    finetune(base, stores, manifest, wanted, UNSTAMPED, operation)


def start(*arguments):
    process = PROCESSES.Process(target=job, args=arguments)
    process.start()
    return process


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for kind in {kind for kind, *_ in KINDS}:
        save_base(folder / "bases", kind)
        for split, count in (("train", 90), ("test", 30)):
            save_images(folder / kind, split, count, MODELS[kind]["size"])
    return folder


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    found = []
    for number in range(len(KINDS)):
        folder, began = tmp_path_factory.mktemp("undisturbed"), time.monotonic()
        process = start(inputs, folder, number)
        process.join()
        assert process.exitcode == 0
        found.append((contents(folder), time.monotonic() - began))
    return found


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_run_hit_at_any_moment_ends_like_an_undisturbed_one(undisturbed, inputs, tmp_path, name, moment):
    number = moment % len(KINDS)
    expected, duration = undisturbed[number]
    process = start(inputs, tmp_path, number)
    time.sleep(random.Random(f"{SEED} {name} {moment}").uniform(0.02, 0.98) * duration)
    os.kill(process.pid, getattr(signal, name))
    process.join()
    again = start(inputs, tmp_path, number)
    again.join()
    assert again.exitcode == 0
    assert contents(tmp_path) == expected  # no checkpoint, no half file is left either
