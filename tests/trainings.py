"""Images, settings and stops of trainings that are made in a test."""

from pathlib import Path

import numpy as np

from nctransfer.data.image_store import ImageStore
from nctransfer.storage.stores import create_store
from nctransfer.training.stop_signals import StopRequest

TRAINING = {
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.05,
    "learning_rate_min": 1e-4,
    "warmup_epochs": 0,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "precision": "float32",
    "channels_last": True,
    "compile": False,
    "augmentation": {"level": 1},
    "adversary": None,
    "snapshots": [],
}
PRETRAINING = TRAINING | {"loss": {"name": "cross_entropy"}, "projection": None}


class StopAfter(StopRequest):
    """Asks for a stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    @property
    def name(self) -> str | None:
        self.looks -= 1
        return "SIGTERM" if self.looks < 0 else None


def image_store(folder: Path, images: np.ndarray, classes="abc", geometry: dict | None = None) -> ImageStore:
    """Images (N, H, W, 3) whose classes follow one another."""
    with create_store(folder / "manifest.json", "images") as store:
        store.put("images", images.astype(np.uint8))
        store.put("labels", np.arange(len(images)) % len(classes))
        store.meta = {
            "class_names": list(classes),
            "resolution": list(images.shape[1:3]),
            "geometry": geometry,
        }
    return ImageStore(folder / "manifest.json")


def noise(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Images (N, side, side, 3) of all values."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)
