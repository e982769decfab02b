"""One forward pass that writes the features of all units.

Memory use stays constant: a batch of images is read, resized on the device and passed once through the
network; the output of each unit is pooled at once and written to disk. A batch that does not fit in memory is
halved, and the pass continues from there.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from nctransfer.data.image_store import ImageStore
from nctransfer.data.resize import apply_geometry
from nctransfer.data.settings import Geometry
from nctransfer.errors import DegenerateInputError, ModelError
from nctransfer.features.feature_store import LOGITS, PENULTIMATE, SUMMED, Column, column_name, write_columns
from nctransfer.features.settings import FeaturesJobSettings
from nctransfer.models.backbone import Backbone, Capture
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
) -> None:
    """Write the feature store of one split, by a backbone in evaluation mode on the device to compute on.

    With ``units: penultimate`` it holds only the penultimate feature, its sum with a skip connection, and
    logits.

    Raises:
        ModelError: a pooling does not suit the network.
        DegenerateInputError: a feature is not finite; names the unit and the first image.
    """
    poolings = tuple(settings.poolings) if settings.units == "all" else ()
    poolings_for(backbone.layout, poolings)  # refuses one that does not suit the network
    columns = describe_columns(backbone, poolings)
    widths = {column.name: column.width for column in columns}
    with create_store(manifest, "features", stamp) as store:
        store.put("labels", np.asarray(images.labels, np.int64))
        store.meta = {
            "samples": len(images),
            "columns": [asdict(column) for column in columns],
            "class_names": list(images.class_names),
            "poolings": list(poolings),
            "geometry": settings.geometry.told(),
            "mean": list(backbone.identity.mean),
            "std": list(backbone.identity.std),
            "precision": settings.precision,
            "format": settings.format,
            "dtype": settings.dtype,
            "weights": backbone.identity.fingerprint,
            "images": images.fingerprint,
        }
        with write_columns(store, widths, len(images), settings.dtype, settings.format) as target:
            for start, capture in forward_pass(backbone, images, poolings, settings):
                block = _to_host(capture, poolings, settings.dtype)
                _refuse_non_finite(block, columns, start)
                target.append(block)


def describe_columns(backbone: Backbone, poolings: Sequence[str]) -> list[Column]:
    """Columns of a store; the stem has none of its class token, which is the same for all images."""
    units = [backbone.stem, *backbone.units]
    columns = [
        Column(column_name(unit.index, pooling), unit.index, unit.name, pooling, unit.width)
        for unit in units
        for pooling in poolings
        if not (unit is backbone.stem and pooling == "cls")
    ]
    after = len(units)
    columns.append(Column(PENULTIMATE, after, PENULTIMATE, "", backbone.width))
    if backbone.skip:
        columns.append(Column(SUMMED, after, SUMMED, "", backbone.width))
    if backbone.head is not None:
        columns.append(Column(LOGITS, after + 1, backbone.head.name, "", backbone.head.classes))
    return columns


def forward_pass(
    backbone: Backbone, images: ImageStore, poolings: Sequence[str], settings: FeaturesJobSettings
) -> Iterator[tuple[int, Capture]]:
    """Pass all images through the network once, in order; ModelError if a single image exceeds the memory.

    Yields:
        index of the first image of the batch, and its captured outputs.
    """
    device = next(backbone.parameters()).device
    if settings.channels_last:
        backbone = backbone.to(memory_format=torch.channels_last)
    half = settings.precision == "bfloat16"
    geometry = images.pending(settings.geometry)
    size, start = settings.batch_size, 0
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16) if half else nullcontext(),
        ThreadPoolExecutor(1) as reader,
        tqdm(total=len(images), unit="image", disable=None) as bar,
    ):
        pending = reader.submit(_read, images, start, size, device)
        while start < len(images):
            batch = pending.result()
            pending = reader.submit(_read, images, start + len(batch), size, device)
            pixels = batch.to(device, non_blocking=True)
            capture = _capture(backbone, pixels, geometry, poolings, settings.channels_last)
            if capture is None:
                if len(batch) == 1:
                    raise ModelError(
                        f"{backbone.identity.name}: a single image of {settings.geometry} "
                        "does not fit in memory"
                    )
                size = len(batch) // 2
                logger.warning("out of memory: continuing with batches of %d images", size)
                torch.cuda.empty_cache()
                pending = reader.submit(_read, images, start, size, device)
                continue
            yield start, capture
            if 10 * (start + len(batch)) // len(images) > 10 * start // len(images):
                logger.info("%d of %d images", start + len(batch), len(images))
            start += len(batch)
            bar.update(len(batch))


def _read(images: ImageStore, start: int, size: int, device: torch.device) -> Tensor:
    """Next batch, (n, 3, H, W) uint8, in pinned memory for a GPU."""
    rows = torch.from_numpy(images.read(start, min(start + size, len(images)))).permute(0, 3, 1, 2)
    return rows.pin_memory() if device.type == "cuda" and len(rows) else rows


def _capture(
    backbone: Backbone,
    pixels: Tensor,
    geometry: Geometry | None,
    poolings: Sequence[str],
    channels_last: bool,
) -> Capture | None:
    """Outputs of a batch, or None (with no memory held) where it does not fit in memory."""
    try:
        inputs = backbone.normalise(apply_geometry(pixels, geometry))
        if channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return backbone.capture(inputs, units=None if poolings else [], poolings=poolings)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "not enough memory" not in str(error):
            raise
        return None


def _to_host(capture: Capture, poolings: Sequence[str], dtype: str) -> dict[str, np.ndarray]:
    """Features of a batch by column name, on the host, in the dtype of the store."""
    columns = {
        column_name(index, pooling): by_pooling[pooling]
        for index, by_pooling in capture.units.items()
        for pooling in poolings
    }
    columns[PENULTIMATE] = capture.penultimate
    if capture.summed is not None:
        columns[SUMMED] = capture.summed
    if capture.logits is not None:
        columns[LOGITS] = capture.logits
    stored = getattr(torch, dtype)
    return {name: values.to(stored).cpu().numpy() for name, values in columns.items()}


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
