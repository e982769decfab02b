"""Files of a training while it runs: checkpoints, snapshots, history.

They have a folder of their own, because Snakemake deletes the declared outputs of a job that fails. A
checkpoint is a store like any other: written completely or not at all, and verified when read. The last two
are kept, so that a damaged one costs only the work since the one before.
"""

import logging
import pickle
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from nctransfer.errors import StoreError
from nctransfer.models.checkpoint import weights_name, write_weights
from nctransfer.runtime.machine_errors import explain
from nctransfer.stamp import Stamp, together
from nctransfer.storage.files import file_checksum
from nctransfer.storage.stores import Store, create_store
from nctransfer.storage.tables import write_table
from nctransfer.training.history import HistoryRow

logger = logging.getLogger(__name__)

KEPT = 2
# Errors that reading a damaged checkpoint may raise.
DAMAGES = (
    StoreError,
    RuntimeError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
)
STATE = "state.pt"


class Checkpoints:
    """Checkpoints and snapshots of one training, in a folder of their own, deleted when it is complete.

    Checkpoints of other code or settings than the stamp's are deleted. ``stamp`` tells with which software
    and devices the training ran, also before it was interrupted. One is written every ``minutes``; 0
    writes one after every epoch. ``described`` are the metadata of the snapshots' weights.
    """

    def __init__(
        self, folder: Path, stamp: Stamp, minutes: float, described: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.stamp, self.minutes = Path(folder), stamp, minutes
        self._described = dict(described or {})
        self._last = time.monotonic()

    def due(self) -> bool:
        """Whether a checkpoint is due between two steps."""
        return self.minutes > 0 and time.monotonic() - self._last >= 60 * self.minutes

    def due_after_epoch(self) -> bool:
        """Whether a checkpoint is due after an epoch."""
        return self.minutes == 0 or self.due()

    def save(self, epoch: int, step: int, state: Mapping[str, Any]) -> Path:
        """Write a checkpoint of tensors and plain values and delete old ones; returns its manifest."""
        manifest = self.folder / f"epoch{epoch:05d}-step{step:07d}" / "manifest.json"
        with create_store(manifest, "checkpoint", self.stamp) as store, store.file(STATE).open("wb") as file:
            # opened here, because torch does not say why it cannot write to a file that it opens itself
            saved = [
                path for path in self.folder.glob("epoch*.safetensors") if path.name <= weights_name(epoch)
            ]
            snapshots = {path.name: file_checksum(path) for path in sorted(saved)}
            torch.save({**state, "snapshots": snapshots}, file)
        for old in self._manifests()[:-KEPT]:
            shutil.rmtree(old.parent)
        self._last = time.monotonic()
        logger.info("checkpoint after epoch %d, step %d", epoch, step)
        return manifest

    def load(self) -> dict[str, Any] | None:
        """The newest checkpoint that is undamaged, as are its snapshots, or None; others are deleted."""
        for manifest in reversed(self._manifests()):
            try:
                store = Store(manifest, "checkpoint")
                if store.stamp.digest != self.stamp.digest:
                    raise StoreError(f"{manifest.parent}: of other code or settings")
                # weights_only: nothing is unpickled but tensors and plain values
                state: dict[str, Any] = torch.load(store.path(STATE), map_location="cpu", weights_only=True)
                for name, digest in state.pop("snapshots").items():
                    path = self.folder / name
                    if not path.is_file() or file_checksum(path) != digest:
                        raise StoreError(f"{path}: missing or altered")
            except DAMAGES as error:
                if explain(error, str(self.folder)) is not None:  # the machine's fault, not the checkpoint's
                    raise
                logger.warning("checkpoint not used, the one before is tried: %s", error)
                shutil.rmtree(manifest.parent, ignore_errors=True)
                continue
            made_with = together((*self.stamp.made_with, *store.stamp.made_with))
            if made_with != self.stamp.made_with:
                logger.warning("begun with other software, or on another device, than it continues with")
            self.stamp = replace(self.stamp, made_with=made_with)
            return state
        self.clear()
        return None

    def newest(self) -> Path | None:
        """Folder of the newest checkpoint."""
        manifests = self._manifests()
        return manifests[-1].parent if manifests else None

    def snapshot(self, epoch: int, state: Mapping[str, Tensor]) -> None:
        """Write the weights after an epoch."""
        write_weights(self.snapshot_path(epoch), state, self._described)

    def snapshot_path(self, epoch: int) -> Path:
        """Where an epoch's snapshot is."""
        return self.folder / weights_name(epoch)

    def write_history(self, rows: Sequence[HistoryRow]) -> None:
        """Write the history so far, for a look at it while the training runs."""
        write_table(self.folder / "history.parquet", pd.DataFrame(rows))

    def clear(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _manifests(self) -> list[Path]:
        return sorted(self.folder.glob("epoch*-step*/manifest.json"))
