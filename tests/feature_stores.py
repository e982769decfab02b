"""Feature stores made of arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nctransfer.features.feature_store import Column, FeatureStore, write_columns
from nctransfer.storage.stores import create_store

Described = tuple[str, int, str, str]  # name, unit, module and pooling of a column


def feature_store(
    folder: Path, arrays: Mapping[Described, np.ndarray], labels: np.ndarray, class_names: Sequence[str]
) -> FeatureStore:
    """Write a store of one split."""
    columns = {Column(*described, rows.shape[1]): rows for described, rows in arrays.items()}
    with create_store(folder / "manifest.json", "features") as store:
        store.put("labels", labels)
        store.meta = {
            "samples": len(labels), "columns": [vars(column) for column in columns],
            "class_names": list(class_names), "format": "npy", "dtype": "float32",
        }  # fmt: skip
        widths = {column.name: column.width for column in columns}
        with write_columns(store, widths, len(labels), "float32", "npy") as target:
            target.append({column.name: rows for column, rows in columns.items()})
    return FeatureStore(folder / "manifest.json")
