"""Optional TensorBoard log of the history of a training while it runs."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nctransfer.errors import ConfigError
from nctransfer.training.history import HistoryRow, Log


@contextmanager
def tensorboard(folder: Path | None) -> Iterator[Log | None]:
    """A function that logs an epoch's rows in ``folder`` (None: no log); ConfigError without tensorboard."""
    if folder is None:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "operation.tensorboard: true needs the package tensorboard; `pip install tensorboard`, or set "
            "it to false"
        ) from None
    writers: list[SummaryWriter] = []

    def log(rows: list[HistoryRow]) -> None:
        if not writers:  # hides what an interrupted run logged after its checkpoint
            writers.append(SummaryWriter(folder, purge_step=rows[0].epoch))
        for row in rows:
            name = f"{row.split}_{row.images}"
            writers[0].add_scalar(f"accuracy/{name}", row.accuracy, row.epoch)
            if not math.isnan(row.loss):
                writers[0].add_scalar(f"loss/{name}", row.loss, row.epoch)
        writers[0].add_scalar("learning_rate", rows[0].learning_rate, rows[0].epoch)
        writers[0].flush()

    try:
        yield log
    finally:
        for writer in writers:
            writer.close()
