"""Give existing outputs another stamp, after verifying all their bytes."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nctransfer.errors import StoreError
from nctransfer.stamp import Stamp
from nctransfer.storage.convert import convert
from nctransfer.storage.files import atomic_path, file_checksum
from nctransfer.storage.stamps import read_stamp
from nctransfer.storage.stores import MANIFEST, Store
from nctransfer.storage.tables import read_table, restamp_table


def verify(path: Path) -> None:
    """Verify all that a stamp covers: a store, a table, a picture's files. StoreError: missing or changed."""
    if path.suffix == ".parquet":
        read_table(path)
    elif path.name == MANIFEST:
        Store(path, json.loads(path.read_text(encoding="utf-8")).get("kind")).verify()
    else:
        for name, checksum in json.loads(path.read_text(encoding="utf-8"))["files"].items():
            file = path.with_name(name)
            if not file.is_file() or file_checksum(file) != checksum:
                raise StoreError(f"{file}: missing, or its bytes differ from the checksum in {path.name}")


def restamp(path: Path, stamp: Stamp, inputs: Mapping[str, str]) -> None:
    """Replace the stamp of a table, of a store (path of its manifest) or of a picture (path of its sidecar).

    Nothing else in the file changes: with what it was made stays, and so does its modification time. A store
    of the older layout gets the present one. ``inputs`` are the paths of the job's inputs, by name.
    """
    if path.name == MANIFEST:
        convert(path)
    status = path.stat()
    stamp = replace(stamp, made_with=read_stamp(path).made_with)
    with atomic_path(path) as partial:
        if path.suffix == ".parquet":
            restamp_table(path, partial, stamp)
        else:
            contents = json.loads(path.read_text(encoding="utf-8")) | {"stamp": stamp.to_json()}
            if path.name == MANIFEST:
                text = json.dumps(contents, indent=1, sort_keys=True)
            else:
                text = json.dumps(contents | {"inputs": stamp.by_path(inputs, path.parent)}, indent=2)
            partial.write_text(f"{text}\n", encoding="utf-8")
        os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
