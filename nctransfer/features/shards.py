"""Shards: parts of one feature store that jobs of their own extract, each some of the batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nctransfer.errors import StoreError
from nctransfer.features.feature_store import SHARD, write_columns
from nctransfer.features.settings import FeaturesJoinedJobSettings
from nctransfer.stamp import UNSTAMPED, Stamp
from nctransfer.storage.stores import Store, create_store

_OWN = ("kind", "stamp", "files", "rows")  # what differs from shard to shard


def join_shards(
    parts: Sequence[Path], manifest: Path, settings: FeaturesJoinedJobSettings, stamp: Stamp = UNSTAMPED
) -> None:
    """Write the feature store of one split, byte for byte as one job writes it, from its shards in order.

    StoreError: a shard is missing, damaged, or not the next part of the same features.
    """
    shards = [Store(path, SHARD) for path in parts]
    meta, stop = _meta(shards[0]), 0
    for shard in shards:
        start, end = shard.manifest["rows"]
        if start != stop or _meta(shard) != meta:
            raise StoreError(
                f"{shard.manifest_path}: rows {start} to {end} of {_meta(shard)['samples']} do not continue "
                f"the {stop} rows of the shards before it; delete the folder of shards and run again"
            )
        stop = end
    if stop != meta["samples"]:
        raise StoreError(f"{parts[-1]}: the last shard, but only {stop} of {meta['samples']} rows are there")
    widths = {column["name"]: column["width"] for column in meta["columns"]}
    with create_store(manifest, "features", stamp) as store:
        store.put("labels", np.concatenate([shard.array("labels") for shard in shards]))
        store.meta = meta | {"format": settings.format}
        with write_columns(store, widths, stop, meta["dtype"], settings.format) as target:
            for shard in shards:
                first, last = shard.manifest["rows"]
                for start in range(0, last - first, settings.batch_size):
                    rows = slice(start, start + settings.batch_size)
                    # mapped anew for every block: pages of a map stay in the memory of the process
                    target.append({name: np.array(shard.array(name)[rows]) for name in widths})


def _meta(shard: Store) -> dict[str, Any]:
    return {key: value for key, value in shard.manifest.items() if key not in _OWN}
