"""Single files that appear under their final name only when they are whole."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nctransfer.errors import StoreError


def sync(path: Path) -> None:
    """Have a file's or folder's contents reach the disk: a rename alone does not outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``final`` that replaces it if the block succeeds."""
    final = Path(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    for leftover in final.parent.glob(f".{final.stem}.partial-*{final.suffix}"):
        leftover.unlink(missing_ok=True)  # of a job that was killed; one job at a time writes a file
    # The suffix stays last: writers choose a format by it.
    partial = final.with_name(f".{final.stem}.partial-{os.getpid()}{final.suffix}")
    try:
        yield partial
        sync(partial)
        os.replace(partial, final)
        sync(final.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_table(path: Path, table: pd.DataFrame, recipe: str = "") -> None:
    """Write a tidy table (one observation a row) as Parquet, the recipe in its metadata."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({"recipe": recipe})
    with atomic_path(path) as partial:
        pq.write_table(arrow, partial)


def read_table(path: Path) -> pd.DataFrame:
    """Read a tidy table.

    Raises:
        StoreError: the file is missing or not Parquet.
    """
    try:
        return pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise StoreError(f"{path}: no such table") from None
    except pa.ArrowException as error:
        raise StoreError(f"{path}: not a readable Parquet table ({error}); delete it and run again") from None


def read_recipe(path: Path) -> str:
    """Recipe that a tidy table or a store's manifest carries.

    Raises:
        StoreError: the file is missing or neither of the two.
    """
    try:
        if Path(path).suffix == ".parquet":
            return (pq.read_schema(path).metadata or {}).get(b"recipe", b"").decode()
        return str(json.loads(Path(path).read_text())["recipe"])
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None
    except (pa.ArrowException, ValueError, KeyError) as error:
        raise StoreError(
            f"{path}: neither a tidy table nor a manifest ({error}); delete it and run again"
        ) from None
