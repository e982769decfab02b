"""One forward pass that writes the features of all units.

Memory use stays constant: a batch of images is read, resized on the device and passed once through the
network; the output of each unit is pooled at once and written to disk. A batch that does not fit in memory is
halved, and the pass continues from there.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from nctransfer import variants
from nctransfer.data.image_store import ImageStore
from nctransfer.data.resize import apply_geometry
from nctransfer.data.settings import Geometry
from nctransfer.errors import DegenerateInputError, ModelError
from nctransfer.features import engines
from nctransfer.features.feature_store import SHARD, Column, write_columns
from nctransfer.features.outputs import describe_columns
from nctransfer.features.settings import FeaturesJobSettings
from nctransfer.models.backbone import Backbone
from nctransfer.models.pooling import poolings_for
from nctransfer.stamp import UNSTAMPED, Stamp
from nctransfer.storage.stores import create_store

logger = logging.getLogger(__name__)


def extract_features(
    backbone: Backbone,
    images: ImageStore,
    manifest: Path,
    settings: FeaturesJobSettings,
    stamp: Stamp = UNSTAMPED,
    rows: range | None = None,
) -> None:
    """Write the feature store of one split, by a backbone in evaluation mode on the device to compute on.

    With ``units: penultimate`` it holds only the penultimate feature, its sum with a skip connection, and
    logits. With ``rows`` it is a shard of such a store, of these rows (``features.shards``).

    Raises:
        ModelError: a pooling does not suit the network.
        DegenerateInputError: a feature is not finite; names the unit and the first image.
    """
    poolings = tuple(settings.poolings) if settings.units == "all" else ()
    poolings_for(backbone.layout, poolings)  # refuses one that does not suit the network
    columns = describe_columns(backbone, poolings)
    widths = {column.name: column.width for column in columns}
    part = range(len(images)) if rows is None else rows
    with create_store(manifest, "features" if rows is None else SHARD, stamp) as store:
        store.put("labels", np.asarray(images.labels[part.start : part.stop], np.int64))
        store.meta = {
            "samples": len(images),
            "columns": [asdict(column) for column in columns],
            "class_names": list(images.class_names),
            "poolings": list(poolings),
            "geometry": settings.geometry.told(),
            "mean": list(backbone.identity.mean),
            "std": list(backbone.identity.std),
            "precision": settings.precision,
            **({"mode": settings.mode} if settings.mode else {}),
            "format": settings.format,
            "dtype": settings.dtype,
            "weights": backbone.identity.fingerprint,
            "images": images.fingerprint,
            **({} if rows is None else {"rows": [rows.start, rows.stop]}),
        }
        with write_columns(store, widths, len(part), settings.dtype, settings.format) as target:
            for start, outputs in forward_pass(backbone, images, poolings, settings, part):
                stored = getattr(torch, settings.dtype)
                block = {name: values.to(stored).cpu().numpy() for name, values in outputs.items()}
                _refuse_non_finite(block, columns, start)
                target.append(block)


def forward_pass(
    backbone: Backbone,
    images: ImageStore,
    poolings: Sequence[str],
    settings: FeaturesJobSettings,
    rows: range | None = None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Pass all images, or these rows, through the network once, in order.

    ModelError if a single image exceeds the memory.

    Yields:
        index of the first image of the batch, and its outputs by the name of their column.
    """
    device = next(backbone.buffers()).device
    geometry = images.pending(settings.geometry)
    rows = range(len(images)) if rows is None else rows
    size, start = settings.batch_size, rows.start
    with (
        torch.inference_mode(),
        variants.load(engines, settings.engine).prepare(backbone, poolings, settings) as run,
        ThreadPoolExecutor(1) as reader,
        tqdm(total=len(rows), unit="image", disable=None) as bar,
    ):
        pending = reader.submit(_read, images, start, size, rows.stop, device)
        while start < rows.stop:
            batch = pending.result()
            pending = reader.submit(_read, images, start + len(batch), size, rows.stop, device)
            outputs = _outputs(run, batch.to(device, non_blocking=True), geometry)
            if outputs is None:
                if len(batch) == 1:
                    raise ModelError(
                        f"{backbone.identity.name}: a single image of {settings.geometry} "
                        "does not fit in memory"
                    )
                size = len(batch) // 2
                logger.warning("out of memory: continuing with batches of %d images", size)
                torch.cuda.empty_cache()
                pending = reader.submit(_read, images, start, size, rows.stop, device)
                continue
            yield start, outputs
            done = start - rows.start
            if 10 * (done + len(batch)) // len(rows) > 10 * done // len(rows):
                logger.info("%d of %d images", done + len(batch), len(rows))
            start += len(batch)
            bar.update(len(batch))


def _read(images: ImageStore, start: int, size: int, stop: int, device: torch.device) -> Tensor:
    """Next batch before row ``stop``, (n, 3, H, W) uint8, in pinned memory for a GPU."""
    rows = torch.from_numpy(images.read(start, min(start + size, stop))).permute(0, 3, 1, 2)
    return rows.pin_memory() if device.type == "cuda" and len(rows) else rows


def _outputs(
    run: Callable[[Tensor], dict[str, Tensor]], pixels: Tensor, geometry: Geometry | None
) -> dict[str, Tensor] | None:
    """Outputs of a batch, or None (with no memory held) where it does not fit in memory."""
    try:
        return run(apply_geometry(pixels, geometry))
    except (RuntimeError, MemoryError) as error:
        is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not is_memory and not any(words in str(error) for words in ("not enough memory", "bad_alloc")):
            raise
        return None


def _refuse_non_finite(block: Mapping[str, np.ndarray], columns: Sequence[Column], start: int) -> None:
    """Raise on NaN or infinity, naming unit and image."""
    for column in columns:
        finite = np.isfinite(block[column.name]).all(axis=1)
        if not finite.all():
            raise DegenerateInputError(
                f"features of unit {column.unit} ({column.module}) are not finite from image "
                f"{start + int(finite.argmin())} on; check the weights, or set features.precision and "
                "features.dtype to float32"
            )
