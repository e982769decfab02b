"""Read the stamp that a file carries."""

import json
from pathlib import Path

from nctransfer.errors import StoreError
from nctransfer.stamp import Stamp
from nctransfer.storage.stores import MANIFEST


def read_stamp(path: Path) -> Stamp:
    """Stamp of a tidy table, a store (or a table in it) or a picture's sidecar; StoreError: there is none."""
    path = Path(path)
    manifest = path.with_name(MANIFEST)
    try:
        if not path.is_file():
            raise StoreError(f"{path}: missing")
        if path.suffix == ".parquet" and not manifest.is_file():
            # pandas takes half a second to import, and many jobs read stores alone
            from nctransfer.storage.tables import table_stamp

            return table_stamp(path)
        holder = manifest if path.suffix == ".parquet" else path
        return Stamp.from_json(json.loads(holder.read_text(encoding="utf-8"))["stamp"])
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # the machine's fault, not the file's
            raise
        raise StoreError(
            f"{path}: neither a tidy table nor a manifest with a stamp ({error}); delete it and run again"
        ) from None
