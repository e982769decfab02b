"""Tidy tables: one observation per row, Parquet with checksums, the job's stamp in the metadata."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nctransfer.errors import StoreError
from nctransfer.stamp import Stamp
from nctransfer.storage.files import atomic_path
from nctransfer.storage.stores import Store

logger = logging.getLogger(__name__)

UNITS = "units"
# Columns of probes' tables with numbers of classes.
LACKING = {
    "untested_classes": "classes that are never tested",
    "single_classes": "classes of a single training image",
}
STAMP = "stamp"


def write_table(path: Path, table: pd.DataFrame, stamp: Stamp | None = None) -> None:
    """Write a tidy table as Parquet, with its job's stamp if no store has it, as the file's metadata."""
    with atomic_path(path) as partial:
        _write(partial, pa.Table.from_pandas(table, preserve_index=False), stamp)


def restamp_table(path: Path, target: Path, stamp: Stamp) -> None:
    """Write a copy of a tidy table with another stamp; errors as for :func:`read_table`."""
    _write(target, _read(path), stamp)


def _write(path: Path, table: pa.Table, stamp: Stamp | None) -> None:
    metadata = {} if stamp is None else {STAMP: json.dumps(stamp.to_json(), sort_keys=True)}
    pq.write_table(table.replace_schema_metadata(metadata), path, write_page_checksum=True)


def read_table(path: Path) -> pd.DataFrame:
    """Read a tidy table; StoreError if it is missing, not Parquet, or its bytes have changed."""
    return _read(path).to_pandas()


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise StoreError(f"{path}: no such table") from None
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the machine's fault, not the file's
            raise
        raise StoreError(f"{path}: not a readable Parquet table ({error}); delete it and run again") from None


def read_tables(
    names: Sequence[Sequence[str]], paths: Mapping[str, str]
) -> dict[tuple[str, ...], pd.DataFrame]:
    """Read the tables of a figure or table by name, model and view; warn of accuracies that say less.

    ``paths`` are their files as ``table_0``, ``table_1``, ... in the order of the names; for ``units`` the
    manifest of the model's store. StoreError where one is missing or not Parquet.
    """
    readers = {UNITS: read_units}
    tables = {
        tuple(name): readers.get(name[0], read_table)(Path(paths[f"table_{index}"]))
        for index, name in enumerate(names)
    }
    for name, table in tables.items():
        if "unconverged" in table:
            _warn_of_accuracies(" on ".join(name[1:]), table)
    return tables


def _warn_of_accuracies(where: str, probes: pd.DataFrame) -> None:
    if probes["unconverged"].any():
        units = ", ".join(map(str, probes.loc[probes["unconverged"], "unit"].unique()))
        logger.warning("%s: accuracies of probes that have not converged; units %s", where, units)
    for column, what in LACKING.items():
        if column in probes and (count := probes[column].max()):
            logger.warning("%s: accuracies with %s %s", where, count, what)


def read_units(manifest: Path) -> pd.DataFrame:
    """A model's ``units.csv``, and the pooling of features; StoreError: no such store, or changed bytes."""
    store = Store(manifest, "model")
    units = pd.read_csv(store.path("units.csv"), dtype={"index": str})
    return units.assign(pooling=store.manifest["feature_pooling"])


def table_stamp(path: Path) -> Stamp:
    """Stamp of a tidy table; FileNotFoundError, ValueError (not Parquet) or KeyError (no stamp)."""
    return Stamp.from_json(json.loads((pq.read_schema(path).metadata or {})[STAMP.encode()]))
