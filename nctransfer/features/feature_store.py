"""Feature stores: the features of one split, opened lazily.

Columns are named ``unit03.avg`` (unit and pooling), ``penultimate``, ``summed`` (the feature that SCL FT's
classifier sees) and ``logits``; each is an array (N, width) in the order of the image store. Two formats
share one reader: one ``.npy`` file per column, or one Parquet file with one uncompressed binary column each
(the numbers of a row as little-endian bytes).
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nctransfer.data.class_names import listed
from nctransfer.errors import StoreError
from nctransfer.storage.stores import ARRAYS, Store, StoreWriter

logger = logging.getLogger(__name__)

PENULTIMATE = "penultimate"
SUMMED = "summed"
LOGITS = "logits"
SHARD = "features_shard"  # kind of a store of some rows; its manifest is that of the whole, with its rows
_PARQUET = f"{ARRAYS}/features.parquet"
_ROW_GROUP_BYTES = 64 << 20


@dataclass(frozen=True)
class Column:
    """One array of a feature store."""

    name: str  # key of the array
    unit: int  # index of the unit, 0 for the stem, L + 1 for the penultimate and the summed feature
    module: str  # path of the module in the network
    pooling: str  # how maps or tokens were reduced to one vector
    width: int  # length of the vector

    @property
    def place(self) -> dict[str, Any]:
        """Unit, module and pooling, for the rows of tables."""
        return {"unit": self.unit, "module": self.module, "pooling": self.pooling}


def column_name(unit: int, pooling: str) -> str:
    """Name of a unit's column."""
    return f"unit{unit:02d}.{pooling}"


class _NpyColumns:
    def __init__(self, store: StoreWriter, widths: Mapping[str, int], rows: int, dtype: np.dtype) -> None:
        self._arrays = {name: store.array(name, (rows, width), dtype) for name, width in widths.items()}

    def append(self, block: Mapping[str, np.ndarray]) -> None:
        for name, array in self._arrays.items():
            array.append(block[name])

    def close(self) -> None:
        """The store closes its arrays itself."""


class _ParquetColumns:
    """Columns of one Parquet file; rows are buffered until they fill a row group."""

    def __init__(self, store: StoreWriter, widths: Mapping[str, int], rows: int, dtype: np.dtype) -> None:
        self._dtype, self._names = dtype, list(widths)
        schema = pa.schema([(name, pa.binary(width * dtype.itemsize)) for name, width in widths.items()])
        self._writer = pq.ParquetWriter(
            store.file(_PARQUET), schema, compression="none", use_dictionary=False, write_statistics=False
        )
        self._blocks: list[Mapping[str, np.ndarray]] = []
        self._bytes = 0

    def append(self, block: Mapping[str, np.ndarray]) -> None:
        self._blocks.append(block)
        self._bytes += sum(array.nbytes for array in block.values())
        if self._bytes >= _ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._blocks:
            arrays = []
            for name in self._names:
                rows = np.concatenate([block[name] for block in self._blocks])
                rows = np.ascontiguousarray(rows, self._dtype)
                kind = pa.binary(rows.shape[1] * self._dtype.itemsize)
                arrays.append(pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)]))
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._writer.schema))
        self._blocks, self._bytes = [], 0

    def close(self) -> None:
        self._flush()
        self._writer.close()


@contextmanager
def write_columns(
    store: StoreWriter, widths: Mapping[str, int], rows: int, dtype: str, file_format: str
) -> Iterator[_NpyColumns | _ParquetColumns]:
    """Open columns of these widths and N rows for writing block by block, as ``npy`` or ``parquet``."""
    kind = _NpyColumns if file_format == "npy" else _ParquetColumns
    columns = kind(store, widths, rows, np.dtype(dtype).newbyteorder("<"))
    yield columns
    columns.close()


class FeatureStore:
    """Features of a split, by unit and pooling; StoreError: missing, of another kind, or altered."""

    def __init__(self, manifest: Path) -> None:
        self._store = Store(manifest, "features")
        meta = self._store.manifest
        self.meta: Mapping[str, Any] = meta
        self.columns = [Column(**entry) for entry in meta["columns"]]
        self.class_names: Sequence[str] = meta["class_names"]
        logger.info("%s: %d classes: %s", manifest, len(self.class_names), listed(self.class_names))

    def __len__(self) -> int:
        return int(self._store.manifest["samples"])

    @property
    def labels(self) -> np.ndarray:
        """Class of each sample, shape (N,), int64, in memory."""
        return np.array(self._store.array("labels"))

    @property
    def unit_columns(self) -> list[Column]:
        """Columns on which collapse is measured: all but the logits."""
        return [column for column in self.columns if column.name != LOGITS]

    def __getitem__(self, name: str) -> np.ndarray:
        """A column, shape (N, width), read-only; its bytes are verified at the first read."""
        column = next((column for column in self.columns if column.name == name), None)
        if column is None:
            names = ", ".join(column.name for column in self.columns)
            raise StoreError(f"{self._store.folder}: no column {name!r}; there are: {names}")
        if self._store.manifest["format"] == "npy":
            return self._store.array(name)
        table = pq.read_table(self._store.path(_PARQUET), columns=[name], memory_map=True)
        width, chunks = column.width, table[name].chunks
        parts = [np.frombuffer(part.buffers()[1], self.dtype, len(part) * width) for part in chunks]
        return np.concatenate(parts).reshape(-1, width)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the stored features."""
        return np.dtype(self._store.manifest["dtype"])


Stores = Mapping[str, FeatureStore]  # of a model on a data set, by split
